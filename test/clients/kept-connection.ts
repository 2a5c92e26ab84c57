/** An HTTP/1.1 connection that is kept between its requests. */
import { once } from 'node:events'
import { Agent, request as httpsRequest } from 'node:https'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { thisMachine } from './visitor.ts'

export interface KeptAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** It came over the connection that the request before used. */
  readonly reused: boolean
}

export class KeptConnection implements Disposable {
  readonly #agent: Agent

  /** @param ca PEM of the authority to trust. */
  constructor(ca: string) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1, ca, lookup: thisMachine })
  }

  /** One after the other. */
  async ask(url: URL, headers: Readonly<Record<string, string>>): Promise<KeptAnswer> {
    const request = httpsRequest(url, { agent: this.#agent, headers })
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const pieces = (await response.toArray()) as Buffer[]
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      body: Buffer.concat(pieces).toString(),
      reused: request.reusedSocket,
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}
