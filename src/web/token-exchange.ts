import { readScopes, writeScopes } from '../identity/scopes.ts'
import { asFault, Fault, type FaultCode } from '../kernel/fault.ts'
import { tokenPath } from './api-schema.ts'
import { peerAddress, type WebContext } from './context.ts'
import { readBody } from './forms.ts'
import { createRateLimit } from './rate-limit.ts'
import type { Site } from './site.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const tokenType = 'urn:ietf:params:oauth:token-type:'
/** All of them are JWTs, and checked as such. */
const subjectTokenTypes: readonly string[] = [`${tokenType}jwt`, `${tokenType}id_token`]
const issuedTokenType = `${tokenType}access_token`
/** Shared by all jobs behind one address. */
const tries = { burst: 120, perMs: 500 }

/** What RFC 6749 section 5.2 and RFC 8693 section 2.2.2 have for it. */
type OAuthError =
  | 'invalid_request'
  | 'invalid_scope'
  | 'invalid_target'
  | 'unsupported_grant_type'
  | 'temporarily_unavailable'

class OAuthRefusal extends Error {
  override readonly name = 'OAuthRefusal'
  readonly code: OAuthError

  constructor(code: OAuthError, description: string) {
    super(description)
    this.code = code
  }
}

/** The token endpoint (RFC 6749 section 3.2): machines exchange tokens of their issuers (RFC 8693). */
export function tokenExchangeRoute(site: Site): void {
  const { identity, clock, publicUrl, log } = site.deps
  const limit = createRateLimit(clock, tries)

  site.open('POST', tokenPath, async (c) => {
    try {
      limit.take(peerAddress(c))
      const wish = await readWish(c, publicUrl)
      const { text, token } = await identity.machines.exchange(wish, { address: peerAddress(c) })
      return answer(c, 200, {
        access_token: text,
        issued_token_type: issuedTokenType,
        token_type: 'Bearer',
        expires_in: Math.floor((token.expiresAt - token.createdAt) / 1000),
        scope: writeScopes(token.scopes),
      })
    } catch (error) {
      const fault = error instanceof OAuthRefusal ? undefined : asFault(error)
      if (fault === undefined && !(error instanceof OAuthRefusal)) throw error
      if (fault?.code === 'STORE_FAILED') log.error({ error, web: c.var.requestId }, 'a token could not be exchanged')
      return refusal(c, error instanceof OAuthRefusal ? error : fault!)
    }
  })
}

/** @throws OAuthRefusal; Fault TOO_LARGE */
async function readWish(c: WebContext, publicUrl: URL) {
  const type = c.req.header('content-type') ?? ''
  if (!/^application\/x-www-form-urlencoded\s*(?:;|$)/i.test(type)) throw invalid('The body is a form.')
  const form = new URLSearchParams(await readBody(c))
  const one = (name: string) => single(form, name)
  if (one('grant_type') === undefined) throw invalid('grant_type is missing.')
  if (one('grant_type') !== grantType) throw new OAuthRefusal('unsupported_grant_type', `It is ${grantType} only.`)
  const subjectToken = one('subject_token')
  if (subjectToken === undefined) throw invalid('subject_token is missing.')
  if (!subjectTokenTypes.includes(one('subject_token_type') ?? '')) {
    throw invalid(`subject_token_type is ${subjectTokenTypes.join(' or ')}.`)
  }
  if (![undefined, issuedTokenType].includes(one('requested_token_type'))) {
    throw invalid(`requested_token_type can only be ${issuedTokenType}.`)
  }
  if (form.has('actor_token') || form.has('actor_token_type')) throw invalid('Nobody acts for a machine.')
  checkTarget(form, publicUrl)
  const scope = one('scope')
  return { subjectToken, machine: one('machine') ?? null, scopes: scope === undefined ? null : scopesOf(scope) }
}

/** The token is for this gateway, whatever stands behind it. */
function checkTarget(form: URLSearchParams, publicUrl: URL): void {
  const targets = [...form.getAll('resource'), ...form.getAll('audience')]
  const isOurs = (target: string) => URL.canParse(target) && new URL(target).href === publicUrl.href
  if (!targets.every(isOurs)) throw new OAuthRefusal('invalid_target', `Tokens are for ${publicUrl.origin} only.`)
}

function scopesOf(text: string) {
  try {
    return readScopes(text)
  } catch (error) {
    throw new OAuthRefusal('invalid_scope', asFault(error)?.message ?? 'There is no such scope.')
  }
}

/** RFC 6749 section 3.2: one without a value counts as left out, and none may come twice. */
function single(form: URLSearchParams, name: string): string | undefined {
  const [value, another] = form.getAll(name)
  if (another !== undefined) throw invalid(`${name} is there more than once.`)
  return value === '' ? undefined : value
}

function invalid(description: string): OAuthRefusal {
  return new OAuthRefusal('invalid_request', description)
}

/** RFC 8693 section 2.2.2: a subject token that is refused for whatever reason is an invalid request. */
const faultAnswers: Partial<Readonly<Record<FaultCode, readonly [400 | 413 | 429 | 500 | 503, OAuthError]>>> = {
  TOO_LARGE: [413, 'invalid_request'],
  INSUFFICIENT_SCOPE: [400, 'invalid_scope'],
  RATE_LIMITED: [429, 'temporarily_unavailable'],
  PROVIDER_UNREACHABLE: [503, 'temporarily_unavailable'],
  STORE_FAILED: [500, 'temporarily_unavailable'],
}

function refusal(c: WebContext, refused: Fault | OAuthRefusal): Response {
  if (refused instanceof OAuthRefusal) return errorAnswer(c, 400, refused.code, refused.message)
  const [status, code] = faultAnswers[refused.code] ?? [400, 'invalid_request']
  if (status === 429 || status === 503) c.header('Retry-After', '30')
  return errorAnswer(c, status, code, `${refused.message} ${refused.hint}`)
}

function errorAnswer(
  c: WebContext,
  status: 400 | 413 | 429 | 500 | 503,
  error: OAuthError,
  description: string,
): Response {
  return answer(c, status, { error, error_description: describable(description) })
}

/** RFC 6749 section 5.2 allows printable ASCII without the quote and the backslash. */
function describable(text: string): string {
  return text
    .replaceAll(/["\\]/g, "'")
    .replaceAll(/[^\x20-\x7e]/g, '?')
    .slice(0, 500)
}

function answer(c: WebContext, status: 200 | 400 | 413 | 429 | 500 | 503, body: object): Response {
  c.header('Cache-Control', 'no-store')
  c.header('Pragma', 'no-cache')
  return c.json(body, status)
}
