import { Agent, fetch as undiciFetch } from 'undici'
import { Fault } from '../kernel/fault.ts'

const bodyBytesMax = 256 * 1024
/** The same deadline bounds connecting, the headers and the body. */
export const providerDeadlineMs = 5000

/** As the standard `fetch`, as far as talking to the provider needs it. */
export type ProviderFetch = (url: string, options?: RequestInit) => Promise<Response>

/**
 * A fetch for the identity provider alone.
 * @param ca PEM of the authorities to trust; null means the system's.
 */
export function createProviderFetch(ca: string | null): { readonly fetch: ProviderFetch } & AsyncDisposable {
  const agent = new Agent({
    // whatever NODE_TLS_REJECT_UNAUTHORIZED says
    connect: { timeout: providerDeadlineMs, rejectUnauthorized: true, ...(ca !== null && { ca }) },
    headersTimeout: providerDeadlineMs,
    bodyTimeout: providerDeadlineMs,
  })
  const send = undiciFetch as unknown as (url: string, options: object) => Promise<Response>
  return {
    fetch: bounded((url, options) => send(url, { ...plainHeaders(options), dispatcher: agent })),
    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}

/**
 * Bounds what the provider may do: no plain http beyond loopback, no body above 256 KiB, no answer after the deadline.
 * A provider that cannot be reached or fails (5xx) is a Fault PROVIDER_UNREACHABLE.
 */
export function bounded(send: ProviderFetch): ProviderFetch {
  return async (address, options = {}) => {
    const url = new URL(address)
    if (url.protocol !== 'https:' && !isLoopback(url)) {
      throw new Fault('SIGN_IN_FAILED', `The identity provider names ${url.origin}, which is not https`)
    }
    const deadline = AbortSignal.timeout(providerDeadlineMs)
    const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline
    try {
      const response = await send(address, { ...options, signal })
      return await whole(response, url)
    } catch (error) {
      if (error instanceof Fault) throw error
      throw new Fault('PROVIDER_UNREACHABLE', `The identity provider at ${url.origin} does not answer`, {
        cause: error,
      })
    }
  }
}

/** `http:` is for a provider on the gateway's own machine: a demo, a test, a sidecar. */
export function isLoopback({ hostname }: URL): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127(?:\.\d{1,3}){3}$/.test(hostname)
  )
}

async function whole(response: Response, url: URL): Promise<Response> {
  if (response.status >= 500) {
    await response.body?.cancel()
    throw new Fault('PROVIDER_UNREACHABLE', `The identity provider at ${url.origin} answers with ${response.status}`)
  }
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    if (bytes > bodyBytesMax) {
      throw new Fault('SIGN_IN_FAILED', `The identity provider answers with more than ${bodyBytesMax} bytes`)
    }
    chunks.push(chunk)
  }
  const { status, headers } = response
  const bodyless = status === 204 || status === 205 || status === 304
  return new Response(bodyless ? null : Buffer.concat(chunks), { status, headers: [...headers] })
}

/** undici's own fetch does not know the Headers of Node's. */
function plainHeaders(options: RequestInit = {}): object {
  return { ...options, headers: [...new Headers(options.headers)] }
}
