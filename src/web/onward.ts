import type { AppPlace } from '../identity/apps.ts'
import type { HttpResource } from '../resources/catalogue.ts'
import { appOrigin } from '../resources/hosts.ts'
import type { WebDeps } from './deps.ts'
import type { Fields } from './forms.ts'

const stateCharsMax = 64
const hostCharsMax = 262

/** Where somebody goes on to once they may: the way that this browser began at an application's host. */
export interface Onward {
  /** Names the way (see identity/apps.ts). */
  readonly state: string
  /** That host, with its port if it is unusual; empty: the one that is shown first. Not checked yet. */
  readonly host: string
}

/** What carries the state: in links of applications, and through the pages in between. */
type StateName = 'state' | 'then'

/** Undefined when nothing of this form came along. @throws Fault INPUT_INVALID when too long */
export function readOnward(fields: Fields, name: StateName): Onward | undefined {
  const state = fields.text(name, stateCharsMax)
  const host = fields.text('host', hostCharsMax)
  return /^[\w-]{16,}$/.test(state) && /^[\w.:[\]-]*$/.test(host) ? { state, host } : undefined
}

/** As `readOnward` reads it. */
export function onwardFields(onward: Onward | undefined, name: StateName): Readonly<Record<string, string>> {
  return onward === undefined ? {} : { [name]: onward.state, ...(onward.host !== '' && { host: onward.host }) }
}

/** The place that somebody goes on to; undefined when that host is not this application's. */
export function placeOf(
  { hosts, publicUrl }: Pick<WebDeps, 'hosts' | 'publicUrl'>,
  resource: HttpResource,
  { host }: Pick<Onward, 'host'>,
): AppPlace | undefined {
  const name = host === '' ? hosts.hostOf(resource) : hostname(host)
  if (name === undefined || hosts.resource(name)?.name !== resource.name) return undefined
  const place = { resource: resource.name, host: new URL(appOrigin(publicUrl, name)).host }
  return host === '' || place.host === host.toLowerCase() ? place : undefined
}

function hostname(host: string): string | undefined {
  return URL.parse(`https://${host}`)?.hostname
}
