import { compileCondition, ConditionError } from '../policy/condition.ts'
import type { ConfigPath, Finding } from './problems.ts'
import { datesOf } from './resolve-policies.ts'
import type { Salvaged } from './salvage.ts'
import type { PolicyEntry } from './schema-policies.ts'

/** What each policy and freeze must have, and what makes no sense in it. */
export function circumstanceFindings({ entries, freezes, hasGeo }: Salvaged): readonly Finding[] {
  return [
    ...(hasGeo ? [] : entries.flatMap(({ index, policy }) => countryFindings(['policies', index], policy))),
    ...entries.flatMap(({ index, policy }) => entryFindings(['policies', index], policy)),
    ...freezes.flatMap(({ index, policy }) => datesFindings(['freezes', index], policy)),
  ]
}

function entryFindings(path: ConfigPath, entry: PolicyEntry): readonly Finding[] {
  return [
    ...(entry.effect === 'allow' ? allowFindings(path, entry) : denyFindings(path, entry)),
    ...whoFindings(path, entry),
    ...windowFindings(path, entry),
    ...(entry.dates === undefined ? [] : datesFindings([...path, 'dates'], entry.dates)),
    ...fromFindings([...path, 'from'], entry.from),
    ...conditionFindings([...path, 'if'], entry.if),
  ]
}

function allowFindings(path: ConfigPath, { who, approval, breakGlass, message }: PolicyEntry): readonly Finding[] {
  const absent = (key: string, hint: string): Finding => ({
    ...{ path: [...path, key], expected: 'a value', message: 'got nothing', at: 'key', hint },
  })
  return [
    ...(who === undefined ? [absent('who', 'Whom it is for: groups, people, claims or machines.')] : []),
    ...(approval === undefined && breakGlass === undefined
      ? [absent('approval', '`none`: granted at once. Otherwise who must approve.')]
      : []),
    ...(message === undefined
      ? []
      : [{ path: [...path, 'message'], message: 'only a policy that denies says something', at: 'key' as const }]),
  ]
}

function denyFindings(path: ConfigPath, { approval, ticket, breakGlass, grants }: PolicyEntry): readonly Finding[] {
  return Object.entries({ approval, ticket, breakGlass, grants })
    .filter(([, value]) => value !== undefined)
    .map(([key]) => ({
      ...{ path: [...path, key], message: 'a policy that denies asks for nothing', at: 'key' as const },
      hint: 'Remove it, or write `effect: allow`.',
    }))
}

function whoFindings(path: ConfigPath, { who, effect }: PolicyEntry): readonly Finding[] {
  if (who === undefined) return []
  const { groups, people, claims = {}, machines } = who
  const isOfPeople = people !== undefined || Object.keys(claims).length > 0
  if (machines !== undefined && isOfPeople) {
    const hint = 'Machines have neither addresses nor claims. Write a policy for each.'
    return [{ path: [...path, 'who'], message: 'nothing is a machine and a person', hint }]
  }
  if (groups !== undefined || machines !== undefined || isOfPeople) return []
  const hint = effect === 'deny' ? 'Leave `who` out to deny everybody.' : 'Name groups, people, claims or machines.'
  return [{ path: [...path, 'who'], message: 'it names nobody', hint }]
}

function windowFindings(path: ConfigPath, { when = [] }: PolicyEntry): readonly Finding[] {
  return when.flatMap(({ from, to }, index) =>
    from === to
      ? [
          {
            path: [...path, 'when', index, 'to'],
            message: 'the window ends where it begins',
            hint: "A whole day is from: '00:00', to: '24:00'.",
          },
        ]
      : [],
  )
}

function datesFindings(path: ConfigPath, written: NonNullable<PolicyEntry['dates']>): readonly Finding[] {
  const { from, to } = datesOf(written)
  if (from === null && to === null) return [{ path, message: 'it has neither `from` nor `to`' }]
  return from === null || to === null || from < to
    ? []
    : [{ path: [...path, 'to'], message: 'it ends before it begins' }]
}

function fromFindings(path: ConfigPath, from: PolicyEntry['from']): readonly Finding[] {
  const isEmpty = from !== undefined && from.networks === undefined && from.countries === undefined
  return isEmpty ? [{ path, message: 'it names no place', hint: 'Name networks, countries or both.' }] : []
}

/** Of one that asks for countries, where nobody can say in which country an address is. */
function countryFindings(path: ConfigPath, { from, if: text }: PolicyEntry): readonly Finding[] {
  const asks = [
    ...(from?.countries === undefined ? [] : [[...path, 'from', 'countries']]),
    ...(text !== undefined && looksAtCountry(text) ? [[...path, 'if']] : []),
  ]
  return asks.map((at) => ({
    ...{ path: at, message: 'nobody can say in which country an address is' },
    hint: 'Name a file with the countries of addresses: geo.file.',
  }))
}

function looksAtCountry(text: string): boolean {
  try {
    return compileCondition(text).looksAtCountry
  } catch (error) {
    if (error instanceof ConditionError) return false // a finding of its own
    throw error
  }
}

function conditionFindings(path: ConfigPath, text: string | undefined): readonly Finding[] {
  if (text === undefined) return []
  try {
    compileCondition(text)
    return []
  } catch (error) {
    if (error instanceof ConditionError) return [{ path, message: error.message, offset: error.offset }]
    throw error
  }
}
