import { approversWords } from '../../policy/approval.ts'
import { circumstanceWords } from '../../policy/circumstance-words.ts'
import { reachedResources, reachesOf, type Reach } from '../../policy/reach.ts'
import type { Policy, Rules } from '../../policy/rules.ts'
import { isFor, type PersonFacts } from '../../policy/weigh.ts'
import type { Catalogue } from '../../resources/catalogue.ts'
import type { Paged } from './reads.ts'
import type { RowOf } from './shapes.ts'

/** Each set of people that a policy lets in without anybody's word, with how many there are of them now. */
export async function withoutAHuman(
  rules: Rules,
  { resources }: Catalogue,
  people: Paged<PersonFacts>,
): Promise<RowOf<'without-a-human'>[]> {
  const free = reachesOf(rules, reachedResources(resources)).filter(({ policy }) => needsNobody(policy))
  const known = await counted(free, people)
  return free.map((reach) => ({
    ...{ who: reach.who, resource: reach.resource, role: reach.role, takes: takes(reach.policy) },
    lengthMostMs: reach.policy.length.mostMs,
    onlyWhen: circumstanceWords(reach.policy),
    ...{ unless: reach.unless, policy: reach.policy.name },
    people: known.get(reach.who) ?? 0,
    breakGlass: reach.policy.breakGlass !== undefined,
  }))
}

function needsNobody({ approval, breakGlass }: Policy): boolean {
  return approval.kind === 'none' || breakGlass !== undefined
}

function takes({ breakGlass }: Policy): string {
  return breakGlass === undefined ? 'nobody' : `nobody; afterwards a review by ${approversWords(breakGlass.review)}`
}

/** By the words for them, which are the same for the same set. */
async function counted(reaches: readonly Reach[], people: Paged<PersonFacts>): Promise<ReadonlyMap<string, number>> {
  const subjects = new Map(reaches.map(({ who, subject }) => [who, subject]))
  const counts = new Map<string, number>()
  for await (const page of people) {
    for (const [who, subject] of subjects) {
      const among = page.filter((person) => isFor(subject, person, 'is not for them')).length
      counts.set(who, (counts.get(who) ?? 0) + among)
    }
  }
  return counts
}
