import type * as z from 'zod'
import type { Identity } from '../identity/identity.ts'
import type { Person } from '../identity/person.ts'
import { tooNarrow, type Scope } from '../identity/scopes.ts'
import type { Token } from '../identity/store.ts'
import { Fault } from '../kernel/fault.ts'
import { peerAddress, type WebContext } from './context.ts'
import { readBody, readJson } from './forms.ts'
import type { Site } from './site.ts'

/** What a call with a bearer token knows. */
export interface Caller {
  readonly person: Person
  readonly token: Token
}

/** What a call needs of its token; `any`: only that it is good. */
export type NeededScope = Scope | 'any'

/**
 * Who calls, by a token that may do this. Every route asks here first. The body is there then.
 * @throws Fault SIGN_IN_REQUIRED, TOKEN_REFUSED, INSUFFICIENT_SCOPE, RATE_LIMITED, TOO_LARGE
 * @see RFC 6750, section 3.1
 */
export async function caller(
  { deps: { identity } }: Site,
  c: WebContext,
  needs: NeededScope,
  bytesMax?: number,
): Promise<Caller> {
  const scope = needs === 'any' ? null : needs
  if (scope !== null) c.set('neededScope', scope)
  const bearer = /^Bearer ([\w.~+/-]{1,200}=*)$/i.exec(c.req.header('authorization') ?? '')?.[1]
  if (bearer === undefined) {
    throw new Fault('SIGN_IN_REQUIRED', 'This call needs a token.', { hint: 'Log in with: curfew login' })
  }
  const verify = () => identity.tokens.verify(bearer, { way: 'api', scope }, { address: peerAddress(c) })
  const known = await verify()
  if ((await readBody(c, bytesMax)) === '') return known
  // It may have taken long to come.
  return (await stillThere(identity, known)) ?? verify()
}

/** The same caller, as their person is known now. */
async function stillThere(identity: Identity, { person: { id }, token }: Caller): Promise<Caller | undefined> {
  const identified = { person: id, personName: '', credential: token.id, browserSession: null }
  const [person, isStanding] = await Promise.all([identity.person(id), identity.stands(identified)])
  return person !== undefined && isStanding ? { person, token } : undefined
}

/** For what a call needs besides its own scope, as it goes on. */
export function refuseScope(c: WebContext, scope: Scope): Fault {
  c.set('neededScope', scope)
  return tooNarrow(scope)
}

/** @throws Fault INPUT_INVALID, TOO_LARGE */
export async function body<Schema extends z.ZodType>(
  c: WebContext,
  shape: Schema,
  bytesMax?: number,
): Promise<z.output<Schema>> {
  return checked(shape, await readJson(c, bytesMax))
}

/** As `body`; nothing at all is an empty object. */
export async function bodyIfAny<Schema extends z.ZodType>(c: WebContext, shape: Schema): Promise<z.output<Schema>> {
  return c.req.raw.body === null || c.req.header('content-length') === '0' ? checked(shape, {}) : body(c, shape)
}

/** @see draft-ietf-httpapi-idempotency-key-header; we take its value as it is. */
export function idempotencyKey(c: WebContext): string | undefined {
  const key = c.req.header('idempotency-key')
  if (key === undefined || /^[\x21-\x7e]{1,200}$/.test(key)) return key
  throw new Fault('INPUT_INVALID', 'Idempotency-Key has 1 to 200 visible ASCII characters.')
}

export function checked<Schema extends z.ZodType>(shape: Schema, value: unknown): z.output<Schema> {
  const result = shape.safeParse(value)
  if (result.success) return result.data
  const [first] = result.error.issues
  const where = first === undefined || first.path.length === 0 ? 'the body' : first.path.join('.')
  throw new Fault('INPUT_INVALID', `${where}: ${first?.message ?? 'not as expected'}`)
}
