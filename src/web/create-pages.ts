import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { getRequestListener } from '@hono/node-server'
import { createWebApp } from './app.ts'
import type { WebDeps } from './deps.ts'

/** The pages and the API, for a server that somebody else opens. */
export interface Pages {
  handle(request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse): void
  /** Ends the streams that would keep the server open. */
  close(): void
}

export function createPages(deps: WebDeps): Pages {
  const closing = new AbortController()
  const app = createWebApp(deps, closing.signal)
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false })
  return {
    handle: (request, response) => {
      listener(request, response).catch((error: unknown) => deps.log.error({ error }, 'web: an answer failed'))
    },
    close: () => closing.abort(),
  }
}
