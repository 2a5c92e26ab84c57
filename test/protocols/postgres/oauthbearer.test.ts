import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cstring, int32 } from '../../../src/protocols/postgres/messages.ts'
import {
  expectSurrender,
  failure,
  readBearer,
  readInitialResponse,
} from '../../../src/protocols/postgres/oauthbearer.ts'

const faulty = expect.objectContaining({ name: 'Fault', code: 'PROTOCOL_VIOLATION' })
const pair = '\x01'
const bytes = (text: string) => Buffer.from(text, 'latin1')
const initial = (response: string) =>
  Buffer.concat([cstring('OAUTHBEARER'), int32(bytes(response).length), bytes(response)])

/** `undefined` stands for a Fault; anything else that is thrown fails the test. */
function orFault<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    expect(error).toEqual(faulty)
    return undefined
  }
}

test.each([
  ['a token', `n,,${pair}auth=Bearer abc.d-e_f~g+h/i==${pair}${pair}`, 'abc.d-e_f~g+h/i=='],
  ['a scheme in other letters', `y,,${pair}auth=bEaReR  abc${pair}${pair}`, 'abc'],
  [
    'further pairs',
    `n,,${pair}host=gw.example.com${pair}auth=Bearer abc${pair}port=5432${pair}x=\t\r\n ${pair}${pair}`,
    'abc',
  ],
  ['no token yet, as psql begins', `n,,${pair}auth=${pair}${pair}`, null],
])('%s is read', (_name, text, token) => {
  expect(readBearer(bytes(text))).toBe(token)
})

test.each([
  ['nothing', ''],
  ['no pairs', `n,,${pair}${pair}`],
  ['no end', `n,,${pair}auth=Bearer abc${pair}`],
  ['bytes behind the end', `n,,${pair}auth=Bearer abc${pair}${pair}x`],
  ['one more pair behind the end', `n,,${pair}auth=Bearer abc${pair}${pair}${pair}`],
  ['channel binding', `p=tls-unique,,${pair}auth=Bearer abc${pair}${pair}`],
  ['somebody else', `n,a=root,${pair}auth=Bearer abc${pair}${pair}`],
  ['two tokens', `n,,${pair}auth=Bearer abc${pair}auth=Bearer def${pair}${pair}`],
  ['another scheme', `n,,${pair}auth=Basic abc${pair}${pair}`],
  ['no space', `n,,${pair}auth=Bearerabc${pair}${pair}`],
  ['only a scheme', `n,,${pair}auth=Bearer ${pair}${pair}`],
  ['a space in the token', `n,,${pair}auth=Bearer a b${pair}${pair}`],
  ['a token in quotes', `n,,${pair}auth=Bearer "abc"${pair}${pair}`],
  ['padding in the middle', `n,,${pair}auth=Bearer a=b${pair}${pair}`],
  ['a pair without a name', `n,,${pair}=x${pair}auth=Bearer abc${pair}${pair}`],
  ['a NUL', `n,,${pair}auth=Bearer abc\0${pair}${pair}`],
  ['a name with other bytes', `n,,${pair}a-b=x${pair}auth=Bearer abc${pair}${pair}`],
  ['bytes above ASCII', `n,,${pair}auth=Bearer \xe9${pair}${pair}`],
])('%s is refused', (_name, text) => {
  expect(() => readBearer(bytes(text))).toThrow(faulty)
})

test('every beginning of a message is refused, never half read', () => {
  const whole = bytes(`n,,${pair}host=gw${pair}auth=Bearer abc.def${pair}${pair}`)
  for (let length = 0; length < whole.length; length++) {
    expect(() => readBearer(whole.subarray(0, length))).toThrow(faulty)
  }
  const message = initial(whole.toString('latin1'))
  for (let length = 0; length < message.length; length++) {
    expect(() => readInitialResponse(message.subarray(0, length))).toThrow(faulty)
  }
})

test('bytes that are no message are a Fault, never anything else', () => {
  const text = fc.string({ unit: fc.constantFrom(pair, 'n', ',', 'auth=', 'Bearer ', 'a', '=', '\0', '\xff') })
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map((one) => Buffer.from(one)),
        text.map(bytes),
      ),
      (body) => {
        orFault(() => readInitialResponse(body))
        orFault(() => expectSurrender(body))
        const token = orFault(() => readBearer(body))
        expect(token ?? 'none').toMatch(/^[\w.~+/-]+=*$/)
      },
    ),
  )
})

test('any token comes out as it went in, with any other pairs around it', () => {
  const token = fc.stringMatching(/^[A-Za-z0-9._~+/-]{1,60}={0,2}$/)
  const other = fc.tuple(fc.stringMatching(/^[b-zB-Z]{1,5}$/), fc.stringMatching(/^[ -~]{0,9}$/))
  fc.assert(
    fc.property(token, fc.array(other), fc.array(other), (wanted, before, behind) => {
      const said = (pairs: readonly (readonly [string, string])[]) => pairs.map(([k, v]) => `${k}=${v}${pair}`).join('')
      const text = `n,,${pair}${said(before)}auth=Bearer ${wanted}${pair}${said(behind)}${pair}`
      expect(readBearer(readInitialResponse(initial(text))!)).toBe(wanted)
    }),
  )
})

test('a client may wait to be asked, and may choose nothing else', () => {
  expect(readInitialResponse(Buffer.concat([cstring('OAUTHBEARER'), int32(-1)]))).toBeNull()
  const other = Buffer.concat([cstring('SCRAM-SHA-256'), int32(0)])
  expect(() => readInitialResponse(other)).toThrow(faulty)
  expect(() => readInitialResponse(Buffer.concat([initial('x'), Buffer.of(0)]))).toThrow(faulty)
  for (const length of [-2, 5, 0x7fff_ffff]) {
    const claims = Buffer.concat([cstring('OAUTHBEARER'), int32(length), Buffer.from('abc')])
    expect(() => readInitialResponse(claims)).toThrow(faulty)
  }
})

test('an error says what RFC 7628 has, and is answered with one byte', () => {
  const told = failure('invalid_token', { configuration: 'https://login.example.com/c', scope: 'openid' })
  const expected = { status: 'invalid_token', 'openid-configuration': 'https://login.example.com/c', scope: 'openid' }
  expect(JSON.parse(told)).toEqual(expected)
  expectSurrender(bytes(pair))
  for (const answer of ['', `${pair}${pair}`, 'n', '\0']) expect(() => expectSurrender(bytes(answer))).toThrow(faulty)
})
