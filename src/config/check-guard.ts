import type { ConfigPath, Finding } from './problems.ts'
import { kindsIn } from './resolve-guard.ts'
import type { Salvaged } from './salvage.ts'
import type { GuardRuleEntry, GuardRules } from './schema-guard.ts'
import type { InFile } from './schema-resources.ts'

type RoleInFile = InFile<'postgres'>['roles'][string]

const hourMs = 3_600_000

/** What is wrong with guards of roles although each part fits its type. */
export function guardFindings({ resources }: Salvaged): readonly Finding[] {
  return Object.entries(resources).flatMap(([name, resource]) =>
    resource.kind === 'postgres'
      ? Object.entries(resource.roles).flatMap(([role, settings]) =>
          roleFindings(['resources', name, 'roles', role], settings),
        )
      : [],
  )
}

function roleFindings(path: ConfigPath, { guard, serverFiles, replication }: RoleInFile): readonly Finding[] {
  const isGuarded = guard !== undefined || serverFiles === 'refuse'
  return [
    ...(isGuarded && replication
      ? [
          {
            path: [...path, 'replication'],
            message: 'commands of replication cannot be judged, so that a guard refuses them all',
            hint: 'Leave out `guard` and `serverFiles`, or give replication a role of its own.',
          },
        ]
      : []),
    ...(guard === undefined || guard === 'read-only' ? [] : guardOfItsOwn([...path, 'guard'], guard)),
  ]
}

function guardOfItsOwn(path: ConfigPath, guard: GuardRules): readonly Finding[] {
  const names = guard.rules.map(({ name }) => name)
  return [
    ...guard.rules.flatMap((rule, index) => [
      ...whenFindings([...path, 'rules', index, 'when'], rule.when),
      ...(names.indexOf(rule.name) < index
        ? [{ path: [...path, 'rules', index, 'name'], message: 'another rule of this guard has this name' }]
        : []),
    ]),
    ...askFindings(path, guard),
  ]
}

function whenFindings(
  path: ConfigPath,
  { kinds, tables, functions, where }: GuardRuleEntry['when'],
): readonly Finding[] {
  const named = kinds === undefined ? [] : kindsIn(kinds)
  const isUnread = named.includes('unparsable')
  const withWhere = named.some((kind) => kind === 'update' || kind === 'delete')
  return [
    ...(tables !== undefined && functions !== undefined
      ? [
          {
            path: [...path, 'functions'],
            message: 'a rule is about tables or about functions',
            hint: 'Make it two rules.',
          },
        ]
      : []),
    ...(isUnread && (named.length > 1 || tables !== undefined || functions !== undefined || where !== undefined)
      ? [
          {
            path: [...path, 'kinds'],
            message: 'of what is `unparsable` nothing else is known',
            hint: 'Give it a rule of its own.',
          },
        ]
      : []),
    ...(where !== undefined && kinds !== undefined && !withWhere
      ? [{ path: [...path, 'where'], message: 'only `update` and `delete` have a WHERE that can be missing' }]
      : []),
    ...(where !== undefined && functions !== undefined
      ? [{ path: [...path, 'where'], message: 'a rule about functions does not look at WHERE' }]
      : []),
  ]
}

function askFindings(path: ConfigPath, { rules, otherwise, askFor, askers }: GuardRules): readonly Finding[] {
  const asks = otherwise === 'ask' || rules.some(({ then }) => then === 'ask')
  const isNobody = askers !== undefined && Object.values(askers).every((some) => some === undefined)
  return [
    ...(asks && (askFor === 0 || askFor > hourMs)
      ? [
          {
            path: [...path, 'askFor'],
            expected: 'a length of time of at most 1h',
            message: 'a statement waits for so long',
          },
        ]
      : []),
    ...(isNobody
      ? [{ path: [...path, 'askers'], expected: '`from`, `allOf` or `named`', message: 'got none of them' }]
      : []),
    ...(askers !== undefined && !asks
      ? [{ path: [...path, 'askers'], message: 'no rule asks anybody', hint: 'Leave it out, or let a rule `ask`.' }]
      : []),
  ]
}
