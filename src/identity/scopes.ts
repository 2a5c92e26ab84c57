import { Fault } from '../kernel/fault.ts'

/** What a token may be used for, each in a line for people; `all` stands for every one of them, and for those to come. */
export const scopeWords = {
  sessions: 'open sessions, and get SSH certificates',
  'sessions:read': 'see live sessions',
  'sessions:end': 'end live sessions',
  'requests:read': 'see requests and grants',
  'requests:write': 'ask for access, and call requests off',
  decide: 'approve and refuse requests, and review',
  'grants:write': 'extend, hand back and revoke grants',
  locks: 'see, place and lift locks',
  'recordings:read': 'read recordings',
  'audit:read': 'read the audit log',
  'reports:read': 'read reports',
  'evidence:read': 'export evidence',
  notifications: 'see and test notifications',
  tokens: 'see, make and revoke tokens',
  all: 'everything that the person may',
} as const

export type Scope = keyof typeof scopeWords
export const scopes: readonly Scope[] = Object.keys(scopeWords) as Scope[]

/** What a token for programs is for unless its maker says otherwise: what such tokens could do before there were scopes. */
export const usualScopes: readonly Scope[] = ['sessions']

/** Whether a token with `held` may do what needs `scope`. */
export function hasScope(held: readonly Scope[], scope: Scope): boolean {
  return held.includes('all') || held.includes(scope)
}

/**
 * Reads scopes as tokens and messages carry them: names between single spaces (RFC 6749, section 3.3); each once, in our order.
 * @throws Fault INPUT_INVALID for a name that we do not know, and for none at all
 */
export function readScopes(text: string): readonly Scope[] {
  const names = new Set(text.split(' ').filter((name) => name !== ''))
  const read = scopes.filter((scope) => names.delete(scope))
  const [unknown] = names
  if (unknown !== undefined) {
    throw new Fault('INPUT_INVALID', `There is no scope “${unknown.replace(/[^\w:.-]/g, '?').slice(0, 40)}”.`, {
      hint: `There are: ${scopes.join(', ')}.`,
    })
  }
  if (read.length === 0) throw new Fault('INPUT_INVALID', 'A token needs at least one scope.')
  return read
}

export function writeScopes(held: readonly Scope[]): string {
  return inOrder(held).join(' ')
}

/** Each once, in our order. */
export function inOrder(held: readonly Scope[]): readonly Scope[] {
  return scopes.filter((scope) => held.includes(scope))
}

export function tooNarrow(scope: Scope): Fault {
  return new Fault('INSUFFICIENT_SCOPE', `This token may not do that: it needs the scope ${scope}.`, {
    hint: `Make one that may, with: curfew token create --scope ${scope}`,
  })
}
