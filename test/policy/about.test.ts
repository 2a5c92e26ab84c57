import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rulesAbout } from '../../src/policy/about.ts'
import type { Denial, Policy, What } from '../../src/policy/rules.ts'
import { covers } from '../../src/policy/weigh.ts'

const names = ['prod-db', 'prod-web', 'staging-db', 'db']
const roles = ['readonly', 'admin']
const what: fc.Arbitrary<What> = fc.record({
  resources: fc.option(fc.subarray(['prod-*', '*-db', 'db', '*', 'nothing'])),
  labels: fc.dictionary(fc.constantFrom('env', 'team', 'toString'), fc.constantFrom('prod', 'shop'), { maxKeys: 2 }),
  roles: fc.option(fc.subarray(roles)),
})
const resource = fc.record({
  ...{ name: fc.constantFrom(...names), kind: fc.constant('postgres') },
  labels: fc.dictionary(fc.constantFrom('env', 'team'), fc.constantFrom('prod', 'shop')),
})

test('none is left out that is about some role there, and the order stays', () => {
  fc.assert(
    fc.property(fc.array(what), fc.array(what), fc.array(resource), (allowing, denying, resources) => {
      const policies = allowing.map((one, index) => ({ name: `p${index}`, what: one }) as Policy)
      const denials = denying.map((one, index) => ({ name: `d${index}`, what: one }) as Denial)
      // Asked twice: what was found is kept.
      for (const there of [...resources, ...resources]) {
        const about = rulesAbout({ policies, denials }, there)
        const isAbout = (rule: { readonly what: What }) =>
          roles.some((role) => covers({ what: { ...rule.what, roles: null } }, there, role))
        expect(about.policies).toEqual(policies.filter(isAbout))
        expect(about.denials).toEqual(denials.filter(isAbout))
      }
    }),
  )
})
