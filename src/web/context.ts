import type { HttpBindings } from '@hono/node-server'
import type { Context, Hono } from 'hono'
import type { html } from 'hono/html'
import type { Visitor } from '../identity/identity.ts'
import type { Person } from '../identity/person.ts'
import type { Scope } from '../identity/scopes.ts'
import type { Instant } from '../kernel/time.ts'
import type { Fields } from './forms.ts'
import type { Show } from './html/show.ts'

/** What travels with a request. */
export interface WebEnv {
  Bindings: HttpBindings
  Variables: {
    requestId: string
    /** The pattern that matched, for metrics and logs. */
    route: string
    /** As far as it was read. */
    body?: string
    /** What the token of an API call must be good for. */
    neededScope?: Scope
    /** The form that came, once it is read. */
    form?: Fields
    /** The page may run the WebAssembly of the terminal player. */
    playsTerminals?: boolean
  }
}
export type WebApp = Hono<WebEnv>
export type WebContext = Context<WebEnv>

/** Markup that is escaped already, or will be once its parts resolve. */
export type Html = ReturnType<typeof html>

/** A signed-in person looks at a page. */
export interface Visit {
  readonly c: WebContext
  readonly visitor: Visitor
  readonly person: Person
  readonly address: string
  readonly now: Instant
  readonly show: Show
}

/** The peer's address; IPv4 in IPv6 clothes is undressed, so that it can be compared. */
export function peerAddress(c: WebContext): string {
  const address = c.env.incoming.socket.remoteAddress ?? ''
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}
