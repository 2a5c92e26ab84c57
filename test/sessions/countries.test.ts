// Goal: who may not come from a country is kept out, and a live session ends when the file comes to say that its address
// is elsewhere. Method: the gate over a real store, with a file that is exchanged.
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openCountriesFile } from '../../src/geo/countries-file.ts'
import { countryFinder } from '../../src/policy/countries.ts'
import { openSigningKey } from '../../src/recording/keys.ts'
import { openRecordings } from '../../src/recording/recordings.ts'
import { SessionGate } from '../../src/sessions/gate.ts'
import { systemClock as clock, systemRandom as random } from '../../src/system.ts'
import { openWorld, people, policies, quiet as log, silent as metrics } from '../access/world.ts'
import { mmdbOf } from '../geo/mmdb.ts'

const { alice } = people
const german = policies.map((policy) => ({ ...policy, countries: ['DE'] }))

test('countries count when a session begins, and as long as it lives', async () => {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await openWorld())
  const file = join(world.folder, 'countries.mmdb')
  const put = async (bytes: Buffer) => {
    await writeFile(`${file}.new`, bytes)
    await rename(`${file}.new`, file)
  }
  await put(mmdbOf({ '203.0.113.0/24': 'DE', '198.51.100.0/24': 'FR' }))
  const countries = stack.use(await openCountriesFile({ file, clock, log, metrics }))
  const key = await openSigningKey(world.folder)
  const settings = { unsavedBytesMax: 1 << 20, unsavedMsMax: 250, freeBytesMin: 0 }
  const folder = join(world.folder, 'recordings')
  const recordings = stack.use(await openRecordings({ folder, key, settings, clock, log, metrics }))
  const { state, catalogue, access } = world
  const gate = stack.use(
    new SessionGate({
      ...{ node: 'gw-1', catalogue, operators: [] },
      rules: { policies: german, countryOf: countryFinder(countries.lookup) },
      connectCommand: () => undefined,
      ...{ access: state.access, sessions: state.sessions, recordings, changes: state.changes },
      person: (id) => state.identity.person(id),
      stands: () => Promise.resolve(true),
      askLink: (resource, role) => access.askLink(resource, role),
      extendLink: (id) => access.extendLink(id),
      ...{ warnBeforeMs: [], sessionsPerPersonMax: 9, clock, random, log, metrics, soon: setImmediate },
    }),
  )
  countries.onChange(() => gate.judgeAgain())
  const wish = { resource: 'prod-db', role: 'reporting', lengthMs: 60_000, reason: 'x', ticket: null, startsAt: null }
  await access.ask(alice, { ...wish, origin: 'test' })
  const identified = { person: alice.id, personName: 'alice', credential: 'token-a', browserSession: null } as const
  const admit = (address: string) =>
    gate.admit({
      ...{ identified, resource: 'prod-db', role: 'reporting', database: 'shop' },
      client: { protocol: 'postgres', address, port: 5, application: 'psql', tls: true },
    })

  for (const address of ['198.51.100.1', '8.8.8.8', '10.1.2.3']) {
    await expect(admit(address)).rejects.toMatchObject({
      ...{ code: 'FROM_ELSEWHERE', message: 'prod-db as reporting may not be used from your country.' },
    })
  }
  const [moved, stays] = [await admit('203.0.113.9'), await admit('203.0.113.200')]
  await put(mmdbOf({ '203.0.113.0/25': 'FR', '203.0.113.128/25': 'DE' }))
  await countries.look()
  expect(moved.cutOff.reason).toMatchObject({ code: 'FROM_ELSEWHERE' })
  expect(stays.cutOff.aborted).toBe(false)
  const ends = { by: 'gate', bytesFromClient: 0, bytesFromTarget: 0 } as const
  await Promise.all([moved.end(ends), stays.end(ends)])
})
