/** Receives webhooks over HTTP on loopback, and checks each signature with the reference library. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'

export interface ReceivedHook {
  readonly id: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
  // oxlint-disable-next-line typescript/no-explicit-any -- tests state what they expect of a payload
  readonly payload: any
}

export interface WebhookReceiver extends AsyncDisposable {
  readonly url: URL
  readonly port: number
  readonly secret: string
  /** With good signatures only; in the order they came, whatever was answered. */
  readonly hooks: readonly ReceivedHook[]
  readonly badSignatures: number
  /** What is answered: a status, or nothing for as long as this is 'nothing'. */
  answer: number | 'nothing'
  location: string | undefined
  until(wanted: (hook: ReceivedHook) => boolean, count?: number): Promise<readonly ReceivedHook[]>
}

export function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

export async function startWebhookReceiver(
  options: { readonly port?: number; readonly secret?: string } = {},
): Promise<WebhookReceiver> {
  const secret = options.secret ?? newWebhookSecret()
  const hooks: ReceivedHook[] = []
  let badSignatures = 0
  const server = createServer((request, response) => void take(request, response))
  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    try {
      const payload: unknown = new Webhook(secret).verify(body, request.headers as Record<string, string>)
      hooks.push({ id: String(request.headers['webhook-id']), headers: request.headers, body, payload })
    } catch {
      badSignatures += 1
      response.writeHead(401).end()
      return
    }
    while (receiver.answer === 'nothing') {
      if (response.destroyed) return
      await sleep(10)
    }
    response.writeHead(receiver.answer, receiver.location === undefined ? {} : { location: receiver.location })
    response.end()
  }
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const receiver: WebhookReceiver = {
    ...{ port, secret, hooks, answer: 204, location: undefined, url: new URL(`http://127.0.0.1:${port}/hook`) },
    get badSignatures() {
      return badSignatures
    },
    async until(wanted, count = 1) {
      for (;;) {
        const found = hooks.filter(wanted)
        if (found.length >= count) return found
        await sleep(10)
      }
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
  return receiver
}
