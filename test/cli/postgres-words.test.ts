import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { serviceEntry, withEntry } from '../../src/cli/postgres/service-file.ts'
import { readFirstPacket, refusalPacket, rewriteStartup } from '../../src/cli/postgres/startup-packet.ts'
import { wishAsOptions } from '../../src/cli/postgres/wish.ts'
import { readFirstPacket as readAtGateway, startupMessage } from '../../src/protocols/postgres/startup.ts'

const onward = { user: 'readonly', database: 'prod-db', options: '' }
const atGateway = (packet: Buffer) => {
  const read = readAtGateway(packet.subarray(4))
  if (read.kind !== 'startup') throw new Error(read.kind)
  return read.startup
}

describe('the first packet', () => {
  test('is read once it is all there, wherever it is cut', () => {
    const packet = startupMessage([
      ['user', 'me'],
      ['application_name', 'a tool'],
    ])
    for (let at = 0; at < packet.length; at++) expect(readFirstPacket(packet.subarray(0, at))).toBeUndefined()
    expect(readFirstPacket(Buffer.concat([packet, Buffer.from('more')]))).toMatchObject({
      kind: 'startup',
      bytes: packet.length,
    })
  })

  test.each([0, 7, 10_001, -1, 0x2f20_5447])('of %i bytes is none', (bytes) => {
    const packet = Buffer.alloc(8)
    packet.writeInt32BE(bytes)
    expect(() => readFirstPacket(packet)).toThrow(RangeError)
  })

  test('goes on with our user and database, and everything else as it was', () => {
    const name = fc.string({ minLength: 1, unit: 'grapheme-ascii' }).map((text) => `x${text.replaceAll(/\W/g, '_')}`)
    const value = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', ''))
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key, maxLength: 20 }), (parameters) => {
        const client = startupMessage([['user', 'me'], ['database', 'any'], ...parameters])
        const startup = atGateway(rewriteStartup(client, onward))
        expect([startup.user, startup.database]).toEqual(['readonly', 'prod-db'])
        expect(startup.parameters).toEqual(parameters)
      }),
    )
  })

  test('carries the wish, in whatever words, behind the options of the client', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (text) => {
        const reason = text.replaceAll('\0', '')
        const options = wishAsOptions({ reason, for: 1_800_000 })
        const client = startupMessage([
          ['user', 'me'],
          ['options', '-c work_mem=7MB'],
        ])
        const startup = atGateway(rewriteStartup(client, { ...onward, options }))
        expect(startup.wish).toEqual({ reason, lengthMs: 1_800_000, ticket: null })
        expect(startup.parameters.map(([key, said]) => [key, said.trim()])).toEqual([['options', '-c work_mem=7MB']])
      }),
    )
  })

  test('is refused in words that clients show', () => {
    const packet = refusalPacket('08006', 'no way', 'log in')
    expect([packet.toString('latin1', 0, 1), packet.readInt32BE(1)]).toEqual(['E', packet.length - 1])
    expect(packet.toString('utf8', 5)).toBe('SFATAL\0VFATAL\0C08006\0Mno way\0Hlog in\0\0')
  })
})

describe('an entry of the service file', () => {
  const connection = {
    ...{ host: 'gw.example.com', port: 5432, user: 'readonly', database: 'prod-db' },
    ...{ certificate: '/home/a b/client.crt', key: '/home/a b/client.key', rootCertificate: '/etc/ca.pem' },
    ...{ certificateEndsAtMs: 0, renewAtMs: 0 },
  }
  const entry = serviceEntry('shop', connection)
  const put = (text: string) => withEntry(text, 'shop', entry, 'the file')

  test('says everything that libpq needs', () => {
    expect(entry).toBe(
      '[shop]\nhost=gw.example.com\nport=5432\nuser=readonly\ndbname=prod-db\nsslmode=verify-full\nsslcert=/home/a b/client.crt\nsslkey=/home/a b/client.key\nsslrootcert=/etc/ca.pem\n',
    )
  })

  test('goes to the end, and later into the same place; nothing else moves', () => {
    const first = put('[mine]\nhost=a\n')
    expect(first.startsWith('[mine]\nhost=a\n\n# curfew shop: made')).toBe(true)
    expect(put(first)).toBe(first)
    const between = `${first}\n[last]\nhost=z\n`
    expect(put(between.replace('port=5432', 'port=1'))).toBe(between)
    expect(put(put(''))).toBe(put(''))
  })

  test('does not take the place of one that somebody else wrote', () => {
    expect(() => put('[shop]\nhost=theirs\n')).toThrow('the file has a service shop already')
  })
})
