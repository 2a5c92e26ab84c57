import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { countriesIn } from '../../src/geo/countries.ts'
import { openCountriesFile } from '../../src/geo/countries-file.ts'
import type { Log } from '../../src/kernel/log.ts'
import { countryFinder } from '../../src/policy/countries.ts'
import { silent } from '../access/world.ts'
import { HandClock } from '../clock.ts'
import { mmdbOf, modelOf } from './mmdb.ts'

const some = { '203.0.113.0/24': 'DE', '198.51.100.0/24': 'AT', '2001:db8::/32': 'CH' }

async function place() {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-geo-'))
  const lines: { level: string; message: string; fields: object }[] = []
  const line = (level: string) => (fields: object, message: string) => void lines.push({ level, message, fields })
  const log: Log = {
    ...{ debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
    child: () => log,
  }
  const clock = new HandClock()
  const file = join(folder, 'countries.mmdb')
  return {
    ...{ file, clock, lines, options: { file, clock, log, metrics: silent } },
    /** As those who keep such files up to date do: all of it or nothing. */
    async put(bytes: Buffer) {
      await writeFile(`${file}.new`, bytes)
      await rename(`${file}.new`, file)
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}

describe('a database', () => {
  test.each([4, 6] as const)('of IPv%s says what was put into it', (ipVersion) => {
    const ipv4 = fc.ipV4().chain((address) => fc.integer({ min: 1, max: 32 }).map((bits) => `${address}/${bits}`))
    const ipv6 = fc.ipV6().filter((address) => !address.includes('.') && !/^:?:/.test(address))
    const nets6 = ipv6.chain((address) => fc.integer({ min: 20, max: 128 }).map((bits) => `${address}/${bits}`))
    const network =
      ipVersion === 4
        ? ipv4
        : fc.oneof(
            ipv4,
            nets6.filter((text) => !/^0{1,4}:/.test(text)),
          )
    const countries = fc.dictionary(network, fc.constantFrom('DE', 'AT', 'CH'), { maxKeys: 8 })
    fc.assert(
      fc.property(countries, fc.ipV4(), fc.constantFrom(24, 32), (known, other, recordBits) => {
        const { lookup } = countriesIn(mmdbOf(known, { ipVersion, recordBits }))
        const model = modelOf(known)
        for (const address of [other, ...Object.keys(known).map((text) => text.split('/')[0]!)]) {
          expect([address, lookup(address)]).toEqual([address, model(address)])
        }
      }),
      { numRuns: 60 },
    )
  })

  test('of IPv4 alone knows nothing of IPv6', () => {
    const { lookup } = countriesIn(mmdbOf({ '0.0.0.0/1': 'DE', '128.0.0.0/1': 'AT' }, { ipVersion: 4 }))
    expect(lookup('32.1.13.184')).toBe('DE')
    expect(lookup('2001:db8::1')).toBeUndefined()
  })

  test.each([
    ['{ country: { iso_code } }', (code: string) => ({ country: { iso_code: code } })],
    ['{ country_code, country }', (code: string) => ({ country_code: code, country: 'Germany' })],
    ['{ country }', (code: string) => ({ country: code })],
  ])('in the shape %s', (_shape, record) => {
    expect(countriesIn(mmdbOf(some, { record })).lookup('203.0.113.9')).toBe('DE')
  })

  test('that knows an address and not its country says nothing', () => {
    const { lookup } = countriesIn(mmdbOf(some, { record: () => ({ continent: { code: 'EU' } }) }))
    expect(lookup('203.0.113.9')).toBeUndefined()
  })

  test('of something else is refused', () => {
    const asn = mmdbOf(some, { type: 'GeoLite2-ASN' })
    expect(() => countriesIn(asn)).toThrow('something else than countries (GeoLite2-ASN)')
    expect(() => countriesIn(Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1'))).toThrow('is broken')
  })

  test('whatever its bytes are, nothing but a country or nothing comes out, and no other failure', () => {
    const whole = mmdbOf(some)
    const damage = fc.tuple(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 }))
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 6 }), fc.nat({ max: whole.length }), (bytes, cut) => {
        const damaged = Buffer.from(whole)
        for (const [index, byte] of bytes) damaged[index] = byte
        const countryOf = finderIn(damaged.subarray(cut % 3 === 0 ? 0 : cut % 40))
        for (const address of ['203.0.113.9', '2001:db8::1', '8.8.8.8']) {
          expect(countryOf(address)).toMatch(/^([A-Z]{2}|unknown)$/)
        }
      }),
      { examples: [[[[1436, 72]], 0]] }, // built in no year that there is
    )
  })
})

function finderIn(bytes: Buffer) {
  try {
    return countryFinder(countriesIn(bytes).lookup)
  } catch (error) {
    expect(error).toHaveProperty('message', expect.stringMatching(/is broken|something else/))
    return () => 'unknown'
  }
}

test('an address is where it is however it is written, and one inside is nowhere', () => {
  const countryOf = countryFinder(countriesIn(mmdbOf(some)).lookup)
  expect(['203.0.113.9', '::ffff:203.0.113.9', '2001:DB8::1', '2001:db8::1%eth0'].map(countryOf)).toEqual(
    ['DE', 'DE', 'CH', 'CH'], // prettier
  )
  const inside = ['10.1.2.3', '::ffff:10.1.2.3', '127.0.0.1', '::1', '192.168.0.9', '172.31.0.1', '100.64.0.1']
  for (const address of [...inside, 'fd00::1', 'fe80::1%eth0', '169.254.1.1']) expect(countryOf(address)).toBe('none')
  for (const address of ['8.8.8.8', '172.32.0.1', '2600::1', '', 'somewhere'])
    expect(countryOf(address)).toBe('unknown')
  expect(countryFinder(() => 'ZZ')('8.8.8.8')).toBe('unknown')
})

describe('the file', () => {
  test('is read again when it changes, and tells of it', async () => {
    await using at = await place()
    await at.put(mmdbOf(some))
    using countries = await openCountriesFile(at.options)
    const changed = vi.fn()
    countries.onChange(changed)
    expect(countries.lookup('203.0.113.9')).toBe('DE')
    await at.put(mmdbOf({ '203.0.113.0/24': 'FR' }))
    at.clock.pass(30_000)
    await vi.waitFor(() => expect(changed).toHaveBeenCalledOnce())
    expect(countries.lookup('203.0.113.9')).toBe('FR')
    expect(countries.lookup('198.51.100.1')).toBeUndefined()
    await countries.look()
    expect(changed).toHaveBeenCalledOnce()
  })

  test('that cannot be used any more leaves the last good one, says so once, and comes back', async () => {
    await using at = await place()
    await at.put(mmdbOf(some))
    using countries = await openCountriesFile(at.options)
    const errors = () => at.lines.filter(({ level }) => level === 'error').map(({ fields }) => fields)
    const damages: readonly (() => Promise<unknown>)[] = [
      () => truncate(at.file, 100),
      () => appendFile(at.file, Buffer.alloc(200_000)),
      () => at.put(mmdbOf(some, { type: 'GeoLite2-ASN' })),
      () => rm(at.file),
    ]
    for (const [index, damage] of damages.entries()) {
      await damage()
      await countries.look()
      await countries.look()
      expect(errors().length).toBeLessThanOrEqual(index + 1)
      expect(countries.lookup('203.0.113.9')).toBe('DE')
    }
    expect(errors()).toEqual([
      { problem: `${at.file} is no database in the format of MaxMind DB` },
      { problem: `${at.file} is a database of something else than countries (GeoLite2-ASN)` },
      { problem: expect.stringContaining('ENOENT') },
    ])
    await at.put(mmdbOf({ '203.0.113.0/24': 'AT' }))
    await countries.look()
    expect(countries.lookup('203.0.113.9')).toBe('AT')
  })

  test('must be there, and whole, at the start', async () => {
    await using at = await place()
    const refused = expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(at.file) })
    await expect(openCountriesFile(at.options)).rejects.toEqual(refused)
    await at.put(mmdbOf(some).subarray(0, 60))
    await expect(openCountriesFile(at.options)).rejects.toEqual(refused)
  })

  test('is not looked at any more after the end', async () => {
    await using at = await place()
    await at.put(mmdbOf(some))
    const countries = await openCountriesFile(at.options)
    countries[Symbol.dispose]()
    expect(at.clock.timers).toBe(0)
  })
})
