import type { Identity } from '../../../identity/identity.ts'
import type { Client, Identified } from '../../../sessions/session.ts'
import type { Wanted } from '../conversation.ts'
import { signInText, signInTitle, type SignInAsk } from '../texts.ts'
import type { Exchange } from './exchange.ts'

export interface SignInDeps {
  readonly identity: { readonly inBand: Pick<Identity['inBand'], 'begin' | 'link' | 'answered'> }
  readonly signInMs: number
}

/**
 * A sign-in in the browser, within keyboard-interactive without prompts: the client shows the link, answers at once
 * with nothing, and waits.
 * @returns undefined when the client leaves it for another method, whose request is unread.
 * @throws Fault SIGN_IN_REFUSED, SIGN_IN_TIMED_OUT, RATE_LIMITED; rejects with `signal.reason`
 */
export async function signInByBrowser(
  exchange: Exchange,
  ask: { readonly client: Client; readonly wanted: Wanted; readonly keyFingerprint: string | null },
  signal: AbortSignal,
  { identity: { inBand }, signInMs }: SignInDeps,
): Promise<Identified | undefined> {
  const { client, wanted, keyFingerprint } = ask
  const { address, application } = client
  const [resource, role] = wanted.kind === 'session' ? [wanted.resource, wanted.role] : [null, null]
  const purpose = 'ssh'
  const signIn = await inBand.begin({ purpose, address, application, resource, role, secretHash: null, keyFingerprint })
  const shown: SignInAsk = {
    link: inBand.link(signIn),
    code: signIn.code,
    address,
    wanted,
    keyFingerprint,
    waitMs: signInMs,
  }
  const left = new AbortController()
  const answered = inBand.answered(signIn, AbortSignal.any([signal, left.signal]))
  answered.catch(() => undefined) // awaited below, if the client stays
  try {
    const response = await exchange.inform(signInTitle(shown), signInText(shown), [], signal)
    if (response === undefined) return undefined
    return await Promise.race([
      answered,
      exchange.arrival(AbortSignal.any([signal, left.signal])).then(() => undefined),
    ])
  } finally {
    left.abort()
  }
}
