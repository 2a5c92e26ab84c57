import type { BrowserSessionId } from '../kernel/ids.ts'
import type { Visitor } from './identity.ts'
import type { Person } from './person.ts'
import type { Identified } from '../sessions/session.ts'

/** An application's own host: its cookies are no other's. */
export interface AppPlace {
  readonly resource: string
  /** Host name as the browser has it, with its port if that is unusual. */
  readonly host: string
}

/** Somebody at an application, by the cookie of that host. */
export interface AppVisitor {
  readonly identified: Identified
  readonly person: Person
  readonly role: string
  /** Of this entry: another one comes with each way through the gateway's pages. */
  readonly entry: string
}

/**
 * Sign-in at applications' hosts. The browser signs in at the gateway's own host only; from there a ticket that works
 * once, for a minute, in the browser that asked for it, brings it to the application's host, which sets a cookie of its own.
 * All values are sealed with the gateway's data key, so that nothing needs to be stored: every node can read them.
 */
export interface AppSignIn {
  /**
   * At the application's host, before the browser is sent to the gateway's.
   * @param returnTo path and query to go on to; anything but a path of that host becomes `/`.
   * @returns `state` for the link, and a cookie (named by the state, so that several tabs do not disturb each other).
   */
  begin(
    place: AppPlace,
    returnTo: string,
  ): { readonly state: string; readonly cookie: { name: string; value: string; maxAgeS: number } }
  /** At the gateway's own host, for somebody who is signed in there. */
  ticket(visitor: Visitor, place: AppPlace, role: string, state: string): string
  /**
   * Back at the application's host.
   * @param cookies of the request: name to value.
   * @returns the cookie to set, the name of the one to delete (`done`), and where to go on.
   * @throws Fault SIGN_IN_FAILED when the ticket is over, for another host, was used, or was begun in another browser.
   */
  enter(
    place: AppPlace,
    ticket: string,
    cookies: (name: string) => string | undefined,
  ): {
    readonly cookie: { name: string; value: string; maxAgeS: number }
    readonly done: string
    readonly returnTo: string
  }
  /**
   * Who holds this cookie at this place. Where it was seen lately the answer is there at once, without the store.
   * Undefined when it is not ours, over, or its sign-in ended.
   */
  visitor(place: AppPlace, cookie: string | undefined): AppVisitor | undefined | Promise<AppVisitor | undefined>
  /** The same as far as it is remembered: never asks the store. */
  lately(place: AppPlace, cookie: string | undefined): AppVisitor | undefined
  /** Forgets what it remembers of a browser session, so that the store is asked again. */
  forget(browserSession: BrowserSessionId): void
}

/** Holds the application's sign-in. `__Host-`: no other host can set or read it (RFC 6265bis). */
export const appCookieName = '__Host-curfew-app'
/** What follows is the state's first letters. */
export const wayCookiePrefix = '__Host-curfew-way-'
