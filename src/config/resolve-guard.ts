import {
  kindGroups,
  type GuardRule,
  type KindGroup,
  type StatementGuard,
  type StatementKind,
} from '../resources/guard.ts'
import { resolveApprovers } from './resolve-approval.ts'
import type { GuardEntry, GuardRuleEntry } from './schema-guard.ts'

const plain = {
  kinds: null,
  tables: null,
  functions: null,
  whereMissing: false,
  several: false,
  message: null,
} as const

/** `serverFiles: refuse`, ahead of every other rule. */
const noServerFiles: GuardRule = {
  ...plain,
  name: 'server-files',
  kinds: ['copy-program', 'copy-file', 'server-file'],
  action: 'refuse',
  message: 'This role may not reach files or programs of the server. Use \\copy, or COPY with STDIN and STDOUT.',
}

/** `guard: read-only` */
const readOnly: GuardRule = {
  ...plain,
  name: 'read-only',
  kinds: ['select', 'copy-out', 'explain', 'show', 'set', 'transaction', 'prepare', 'execute', 'cursor', 'notify'],
  action: 'allow',
}
const readOnlyRest: GuardRule = {
  ...plain,
  name: 'read-only',
  action: 'refuse',
  message: 'This role only reads.',
}

const quiet = { askForMs: 0, askers: null } as const

/** Null where a role asks for nothing: then nothing is looked at. */
export function resolveGuard(entry: GuardEntry | undefined, serverFiles: 'allow' | 'refuse'): StatementGuard | null {
  const first = serverFiles === 'refuse' ? [noServerFiles] : []
  if (entry === undefined) {
    return first.length === 0 ? null : { ...quiet, rules: first, otherwise: 'allow' }
  }
  if (entry === 'read-only') return { ...quiet, rules: [...first, readOnly, readOnlyRest], otherwise: 'refuse' }
  const { rules, otherwise, askFor: askForMs, askers } = entry
  return {
    rules: [...first, ...rules.map(resolveRule)],
    otherwise,
    askForMs,
    askers: askers === undefined ? null : resolveApprovers(askers),
  }
}

function resolveRule({ name, when, then: action, message }: GuardRuleEntry): GuardRule {
  const { kinds, tables, functions, where, statements } = when
  return {
    name,
    kinds: kinds === undefined ? null : kindsIn(kinds),
    tables: tables ?? null,
    functions: functions ?? null,
    whereMissing: where === 'missing',
    several: statements === 'several',
    action,
    message: message ?? null,
  }
}

/** With groups written out. */
export function kindsIn(names: NonNullable<GuardRuleEntry['when']['kinds']>): readonly StatementKind[] {
  return [
    ...new Set(names.flatMap((kind) => (kind in kindGroups ? kindGroups[kind as KindGroup] : [kind as StatementKind]))),
  ]
}
