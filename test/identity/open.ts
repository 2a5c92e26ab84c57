import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditEvent, AuditType } from '../../src/audit/event.ts'
import type { Config } from '../../src/config/config.ts'
import { createIdentity } from '../../src/identity/create-identity.ts'
import type { IdentityDeps } from '../../src/identity/deps.ts'
import type { Identity, Visitor } from '../../src/identity/identity.ts'
import { sshKeyPair } from '../../src/identity/ssh/keys.ts'
import type { SshKeyPair } from '../../src/identity/ssh/keys.ts'
import { clientAuthority, type ClientAuthority } from '../../src/identity/x509/authority.ts'
import type { Change } from '../../src/kernel/change.ts'
import type { Log } from '../../src/kernel/log.ts'
import type { Metrics } from '../../src/kernel/metrics.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { openSqliteState } from '../../src/store/sqlite/open.ts'
import type { State } from '../../src/store/state.ts'
import { systemClock, systemRandom } from '../../src/system.ts'
import { HandClock } from '../clock.ts'
import { Browser, client } from '../servers/oidc.ts'

export const publicUrl = new URL('https://gw.example.test')
export const from = { address: '203.0.113.9', userAgent: 'a browser' }

export interface Opened extends AsyncDisposable {
  readonly identity: Identity
  readonly state: State
  readonly clock: HandClock
  readonly authority: SshKeyPair
  readonly clientAuthority: ClientAuthority
  readonly changes: readonly Change[]
  /** Resolves with the first such change, also one that was there before. */
  untilChange(kind: Change['kind']): Promise<Change>
  audited(type: AuditType): Promise<readonly AuditEvent[]>
  /** The room once more over the same state, as after a restart with other machines. */
  again(machines: NonNullable<IdentityDeps['machines']>): Promise<Identity>
  /** The whole code flow by a browser of its own. */
  signIn(login: string, browser?: Browser): Promise<Visitor & { readonly cookie: string }>
}

/** The identity room over the real embedded state, its clock turned by hand from the true time on. */
export async function openIdentity(
  issuer: URL,
  settings: Partial<Config['identity']> = {},
  more: Pick<IdentityDeps, 'fetch' | 'machines'> = {},
): Promise<Opened> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'curfew-identity-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const state = stack.use(await openSqliteState({ folder, clock: systemClock, log: quiet }))
  const clock = new HandClock(Date.now())
  const { changes, untilChange } = listen(state)
  const store = state.identity
  const deps = {
    ...more,
    publicUrl,
    store,
    changes: state.changes,
    clock,
    random: systemRandom,
    log: quiet,
    metrics: uncounted,
    sshPeopleAuthority: sshKeyPair(generateKeyPairSync('ed25519').privateKey),
    clientAuthority: clientAuthority(
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
      publicUrl.host,
      clock.now(),
    ),
  }
  const dataKey = systemRandom.bytes(32)
  const all = { ...deps, dataKey, settings: { ...defaults(issuer), ...settings } }
  const identity = stack.use(await createIdentity(all))
  const open = stack.move()
  return {
    ...{ identity, state, clock, changes, untilChange, authority: deps.sshPeopleAuthority },
    clientAuthority: deps.clientAuthority,
    audited: async (type) => {
      const found = await state.audit.search({ types: [type], limit: 100 })
      return found.map(({ json }) => JSON.parse(json) as AuditEvent).toReversed()
    },
    again: async (machines) => open.use(await createIdentity({ ...all, machines })),
    async signIn(login, browser = new Browser()) {
      const { redirect, flowCookie } = await identity.browser.begin('/')
      const callback = await browser.signIn(redirect, login)
      const { sessionCookie } = await identity.browser.complete(callback, flowCookie, from)
      const visitor = await identity.browser.visitor(sessionCookie)
      if (visitor === undefined) throw new Error(`${login} did not get in`)
      return { ...visitor, cookie: sessionCookie }
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

function defaults(issuer: URL): Config['identity'] {
  const scopes = ['openid', 'email', 'profile', 'groups', 'offline_access']
  const secret = new Secret(client.clientSecret)
  return {
    oidc: { issuer, clientId: client.clientId, clientSecret: secret, ca: null, scopes, groupsClaim: 'groups' },
    sessionMs: 12 * 3_600_000,
    rememberMs: 8 * 3_600_000,
    signInMs: 300_000,
    sameAddress: false,
    refreshMs: 300_000,
    tokenMsMax: 30 * 24 * 3_600_000,
  }
}

function listen(state: State) {
  const changes: Change[] = []
  const waiting = new Set<() => void>()
  state.changes.subscribe((change) => {
    changes.push(change)
    for (const look of waiting) look()
  })
  const untilChange = (kind: Change['kind']) =>
    new Promise<Change>((resolve) => {
      const look = () => {
        const found = changes.find((change) => change.kind === kind)
        if (found === undefined) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      look()
    })
  return { changes, untilChange }
}

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet }
const uncounted: Metrics = { add() {}, set() {}, forget() {}, observe() {} }
