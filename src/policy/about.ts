import type { ConditionFacts } from './condition.ts'
import type { Rules, What } from './rules.ts'
import { coversResource } from './weigh.ts'

type Resource = ConditionFacts['resource']
type Rule = { readonly what: What }

/** By the list of rules, and by the resource: neither ever changes, and they are gone when these are. */
const known = new WeakMap<readonly Rule[], WeakMap<Resource, readonly Rule[]>>()

/**
 * The same rules without those that are about other resources. They decide the same about this one; where there are hundreds of
 * rules and thousands of resources, nearly all are about others.
 */
export function rulesAbout<Given extends Rules>(rules: Given, resource: Resource): Given {
  const { policies, denials } = rules
  return {
    ...rules,
    policies: about(policies, resource),
    ...(denials !== undefined && { denials: about(denials, resource) }),
  }
}

function about<One extends Rule>(rules: readonly One[], resource: Resource): readonly One[] {
  let byResource = known.get(rules)
  if (byResource === undefined) known.set(rules, (byResource = new WeakMap()))
  let found = byResource.get(resource)
  if (found === undefined)
    byResource.set(resource, (found = rules.filter(({ what }) => coversResource(what, resource))))
  // What is kept for a list was taken out of it.
  return found as readonly One[]
}
