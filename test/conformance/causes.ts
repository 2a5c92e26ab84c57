/** Why a session may end: each is what really happens, through the door that people and time use. */
import { execFile } from 'node:child_process'
import { statfs, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { SessionId } from '../../src/kernel/ids.ts'
import type { FaultCode } from '../../src/kernel/fault.ts'
import type { Grant } from '../../src/access/states.ts'
import { Visitor } from '../clients/visitor.ts'
import type { TestGateway } from '../servers/gateway.ts'

const run = promisify(execFile)

export interface Cause {
  readonly name: string
  readonly code: FaultCode
  /** Longest grant that the cause can wait for; absent: an hour. */
  readonly grantMs?: number
  /** What the session came in by: a token, or a remembered sign-in in the browser. Absent: a token. */
  readonly cameBy?: 'browser'
  /** How much of a person's it ends. Absent: all that they have. */
  readonly ends?: 'one session' | 'one grant'
  /** Makes it happen. Returns what puts the world right again for the next case. */
  readonly happen: (at: {
    readonly gateway: TestGateway
    readonly grant: Grant
    readonly session: SessionId
  }) => Promise<(() => Promise<unknown>) | void>
}

export const causes: readonly Cause[] = [
  { name: 'expiry', code: 'GRANT_EXPIRED', grantMs: 4000, happen: () => Promise.resolve() },
  {
    name: 'revoking the grant',
    code: 'GRANT_REVOKED',
    ends: 'one grant',
    happen: async ({ gateway, grant }) =>
      gateway.gateway.access.revoke(await gateway.person('olga'), grant.id, 'incident'),
  },
  {
    name: 'handing the grant back',
    code: 'GRANT_HANDED_BACK',
    ends: 'one grant',
    happen: async ({ gateway, grant }) => gateway.gateway.access.handBack(await gateway.person('alice'), grant.id),
  },
  {
    name: 'a lock',
    code: 'LOCKED',
    happen: async ({ gateway }) => {
      const { access } = gateway.gateway
      const [olga, alice] = [await gateway.person('olga'), await gateway.person('alice')]
      // All of it must match, so that each part of it is tried.
      const address = '127.0.0.0/8'
      const scope = { person: alice.id, group: 'engineering', resource: null, role: null, address }
      const lock = await access.placeLock(olga, scope, 'stolen laptop')
      return () => access.liftLock(olga, lock.id)
    },
  },
  {
    name: 'an operator',
    code: 'KILLED',
    ends: 'one session',
    happen: async ({ gateway, session }) =>
      gateway.gateway.gate.kill(await gateway.person('olga'), session, 'too slow'),
  },
  {
    name: 'sign-out at the provider',
    code: 'SIGNED_OUT',
    cameBy: 'browser',
    happen: ({ gateway }) => gateway.provider.signOutEverywhere('alice'),
  },
  {
    name: 'leaving the group',
    code: 'POLICY_CHANGED',
    cameBy: 'browser',
    happen: ({ gateway }) => {
      gateway.provider.setGroups('alice', [])
      return Promise.resolve(async () => {
        gateway.provider.setGroups('alice', ['engineering'])
        await using browser = new Visitor(gateway.ca) // who signs in is looked at at once
        await browser.open(new URL('/sign-in', gateway.url), 'alice')
      })
    },
  },
  {
    name: 'revoking the token',
    code: 'SIGNED_OUT',
    ends: 'one session',
    happen: async ({ gateway, session }) => {
      const row = await gateway.gateway.state.sessions.session(session)
      await gateway.gateway.identity.own.revoke(await gateway.person('alice'), row!.session.credential)
    },
  },
  {
    name: 'a recording that cannot be written',
    code: 'RECORDING_FAILED',
    happen: async ({ gateway }) => {
      const folder = join(gateway.config.gateway.dataFolder, 'recordings')
      const { bavail, bsize } = await statfs(folder)
      const filler = join(folder, 'filler')
      const bytes = bavail * bsize - gateway.config.recording.freeBytesMin / 2
      await run('fallocate', ['-l', String(Math.floor(bytes)), filler])
      return async () => {
        await rm(filler)
        // What the gateway knows of the disk may be a second old.
        while (!(await fetch(new URL('/readyz', gateway.opsUrl))).ok) await sleep(50)
      }
    },
  },
  {
    name: 'the stop of the gateway',
    code: 'SHUTTING_DOWN',
    happen: ({ gateway }) => gateway.restart(),
  },
]
