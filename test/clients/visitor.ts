/** A browser as far as forms and cookies go: quick, for tests that are not about pages. */
import type { LookupFunction } from 'node:net'
import { Agent, fetch, type Dispatcher, type Response } from 'undici'

/** Whatever the name, it is this machine: names such as `app.localhost` are known to browsers, but not to every system. */
export const thisMachine: LookupFunction = (_name, { all }, done) => {
  if (all === true) done(null, [{ address: '127.0.0.1', family: 4 }])
  else done(null, '127.0.0.1', 4)
}

export class Visitor implements AsyncDisposable {
  readonly #jars = new Map<string, Map<string, string>>()
  readonly #agent: Dispatcher

  /** @param ca PEM of the authority to trust. */
  constructor(ca: string) {
    this.#agent = new Agent({ connect: { ca, lookup: thisMachine } }).compose(asNavigation)
  }

  /** Redirects are answers, too: nothing is followed. */
  get(url: URL): Promise<Response> {
    return this.#fetch(url, 'GET')
  }

  /** Sends a form as a page of the same origin would. */
  post(url: URL, form: Readonly<Record<string, string>>): Promise<Response> {
    return this.#fetch(url, 'POST', new URLSearchParams(form))
  }

  /** Follows redirects, and signs in as `login` at the demo provider's page when it comes by. */
  async open(url: URL, login: string): Promise<{ readonly url: URL; readonly status: number; readonly body: string }> {
    let at = url
    for (let hops = 0; hops < 20; hops++) {
      const asks = at.pathname.startsWith('/interaction/')
      const response = asks ? await this.post(at, { login, password: '' }) : await this.get(at)
      const location = response.headers.get('location')
      const body = await response.text()
      if (location === null) return { url: at, status: response.status, body }
      at = new URL(location, at)
    }
    throw new Error(`${url.href} redirects for ever, at last to ${at.href}`)
  }

  /** The `Cookie` header that it would send there now, for another program. */
  cookie(url: URL): string {
    return [...(this.#jars.get(url.origin) ?? [])].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#agent.close()
  }

  async #fetch(url: URL, method: 'GET' | 'POST', body?: URLSearchParams): Promise<Response> {
    const jar = this.#jars.get(url.origin) ?? new Map<string, string>()
    this.#jars.set(url.origin, jar)
    const headers = { cookie: this.cookie(url), ...(body !== undefined && { origin: url.origin }) }
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      headers,
      dispatcher: this.#agent,
      ...(body !== undefined && { body }),
    })
    for (const line of response.headers.getSetCookie()) keep(jar, line)
    return response
  }
}

/** As when a person loads a page: fetch says by itself that a script calls. */
function asNavigation(dispatch: Dispatcher['dispatch']): Dispatcher['dispatch'] {
  const page = { accept: 'text/html,*/*;q=0.8', 'sec-fetch-mode': 'navigate' }
  return (options, handler) => dispatch({ ...options, headers: { ...(options.headers as object), ...page } }, handler)
}

function keep(jar: Map<string, string>, line: string): void {
  const [pair = ''] = line.split(';')
  const cut = pair.indexOf('=')
  const [name, value] = [pair.slice(0, cut), pair.slice(cut + 1)]
  if (value === '') jar.delete(name)
  else jar.set(name, value)
}
