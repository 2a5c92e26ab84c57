// Goal: the target believes the gateway alone about who sends a request and from where; neither side sees or sets what is the other's.
// Method: tables of headers as clients and targets send them, and properties over spellings.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Secret } from '../../../src/kernel/secret.ts'
import {
  forwardTrailers,
  forwardedClient,
  groupList,
  ownHeaders,
  targetPlaces,
  towardsClient,
  towardsTarget,
  type ForwardFacts,
} from '../../../src/protocols/http/forward-headers.ts'
import type { RequestHead } from '../../../src/protocols/http/request-head.ts'
import type { HttpCredentials, HttpRole } from '../../../src/resources/catalogue.ts'

const claims = {
  email: 'alice@example.com',
  name: 'Zoë\r\nX-Evil: 1',
  subject: 's',
  id: 'person-1',
  groups: 'a,b',
  role: 'r',
} as const
const noOwn = ownHeaders({ headers: {}, credentials: null, allow: [], deny: [] }, claims)
const facts: ForwardFacts = {
  ...{
    host: 'app.example.test',
    client: forwardedClient('192.0.2.7'),
    requestId: 'req-1',
    assertion: 'real',
    own: noOwn,
    ownAuthorization: false,
  },
}

function head(headers: readonly string[], more: Partial<RequestHead> = {}): RequestHead {
  return {
    ...{ method: 'GET', path: '/', host: 'app.example.test', headers, version: '1.1', bodyBytes: null },
    ...{ hasBody: false, upgrade: null, expectsContinue: false, ...more },
  }
}

/** All values by a name, whatever its case. */
function values(raw: readonly string[], name: string): readonly string[] {
  return raw.filter((_, index) => index % 2 === 1 && raw[index - 1]!.toLowerCase() === name.toLowerCase())
}
const names = (raw: readonly string[]) => raw.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
const toTarget = (headers: readonly string[], more: Partial<ForwardFacts> = {}) =>
  towardsTarget(head(headers), { ...facts, ...more })
const ownCount = names(toTarget([])).length
/** What is left of the client's own. */
const passed = (headers: readonly string[], more: Partial<ForwardFacts> = {}) =>
  toTarget(headers, more).slice(0, -2 * ownCount)

describe('towards the target', () => {
  test('common headers pass in their order, repeated ones, too', () => {
    const common = [
      'Accept',
      'a',
      'X-Custom',
      '1',
      'x-custom',
      '2',
      'Content-Type',
      'text/plain',
      'Origin',
      'https://a',
      'If-Match',
      '"e"',
      'X-CSRF-Token',
      't',
    ]
    expect(passed(common)).toEqual(common)
  })

  test('says where the request comes from', () => {
    expect(toTarget([])).toEqual([
      ...[
        'X-Forwarded-For',
        '192.0.2.7',
        'X-Forwarded-Proto',
        'https',
        'X-Forwarded-Host',
        'app.example.test',
        'X-Forwarded-Port',
        '443',
      ],
      ...['Forwarded', 'for=192.0.2.7;host="app.example.test";proto=https', 'Via', '1.1 curfew'],
      ...['Curfew-Request-Id', 'req-1', 'Curfew-Assertion', 'real'],
    ])
    const six = towardsTarget(head([], { host: '[2001:db8::9]:8443', version: '2' }), {
      ...facts,
      client: forwardedClient('2001:DB8::1'),
    })
    expect(values(six, 'forwarded')).toEqual(['for="[2001:db8::1]";host="[2001:db8::9]:8443";proto=https'])
    expect(values(six, 'x-forwarded-for')).toEqual(['2001:db8::1'])
    expect(values(six, 'x-forwarded-port')).toEqual(['8443'])
    expect(values(six, 'via')).toEqual(['2 curfew'])
    expect(values(toTarget([], { client: forwardedClient('::ffff:192.0.2.7') }), 'forwarded')[0]).toContain(
      'for=192.0.2.7;',
    )
    expect(values(toTarget(['Via', '1.0 a', 'Via', '1.1 b']), 'via')).toEqual(['1.0 a, 1.1 b, 1.1 curfew'])
  })

  const spoofed = [
    ...[
      'Forwarded',
      'X-Forwarded-For',
      'X-Forwarded-Host',
      'X-Forwarded-Prefix',
      'X-Forwarded-User',
      'X-Forwarded',
      'X-Real-IP',
    ],
    ...[
      'X-Original-URL',
      'X-Original-Host',
      'X-Rewrite-URL',
      'True-Client-IP',
      'Client-IP',
      'X-Client-IP',
      'CF-Connecting-IP',
    ],
    ...[
      'X-Client-Cert',
      'X-Client-Cert-DN',
      'X-SSL-Client-S-DN',
      'SSL-Client-Verify',
      'X-Forwarded-Client-Cert',
      'Client-Cert',
    ],
    ...[
      'Client-Cert-Chain',
      'X-ARR-ClientCert',
      'Remote-User',
      'X-Remote-User',
      'X-WebAuth-User',
      'X-Auth-Request-Email',
    ],
    ...[
      'CF-Access-Jwt-Assertion',
      'X-Goog-IAP-JWT-Assertion',
      'X-Amzn-Oidc-Data',
      'X-MS-Client-Principal',
      'Tailscale-User-Login',
    ],
    ...['Curfew-Assertion', 'Curfew-Token', 'Curfew-Role', 'Curfew-Anything', 'Curfew-Request-Id'],
  ]
  const perHop = [
    ...['Connection', 'Keep-Alive', 'Proxy-Connection', 'Proxy-Authorization', 'Proxy', 'Transfer-Encoding', 'Upgrade'],
    ...['Expect', 'HTTP2-Settings', 'Content-Length', 'Host'],
  ]

  test('nothing of the hop, and nothing that only a gateway may say, in any spelling that a target could take for it', () => {
    const spelled = fc
      .constantFrom(...spoofed, ...perHop)
      .chain((name) =>
        fc
          .tuple(
            ...Array.from(name, (letter) => fc.constantFrom(letter.toUpperCase(), letter.toLowerCase())),
            fc.constantFrom('-', '_', '.'),
          )
          .map((letters) => letters.slice(0, -1).join('').replaceAll('-', letters.at(-1)!)),
      )
    fc.assert(
      fc.property(spelled, (name) => {
        expect(passed([name, 'evil'])).toEqual([])
      }),
      { numRuns: 2000 },
    )
  })

  test('names that only begin alike pass', () => {
    const alike = [
      'Forwarded-By-Me',
      '1',
      'X-Real',
      '2',
      'Curfews',
      '3',
      'Proxied',
      '4',
      'X-Original',
      '5',
      'Hosting',
      '6',
      'X-User',
      '7',
    ]
    expect(passed(alike)).toEqual(alike)
  })

  test('TE says trailers or nothing', () => {
    expect(passed(['TE', 'gzip;q=1, Trailers'])).toEqual(['TE', 'trailers'])
    expect(passed(['te', 'gzip'])).toEqual([])
    expect(passed(['Connection', 'TE', 'TE', 'trailers'])).toEqual(['TE', 'trailers'])
  })

  test('Connection removes the client’s own headers, and none of ours', () => {
    const own = ownHeaders({ headers: { 'x-email': 'email' }, credentials: null, allow: [], deny: [] }, claims)
    const listing = 'close, X-Hop, x-email, Curfew-Assertion, X-Forwarded-For, Forwarded, Via, Host, Content-Length'
    const raw = toTarget(['Connection', listing, 'X-Hop', '1', 'X-Stays', '2', 'connection', ' x-TOO ', 'X-Too', '3'], {
      own,
    })
    expect(names(raw)).not.toContain('x-hop')
    expect(names(raw)).not.toContain('x-too')
    for (const name of ['x-stays', 'x-email', 'curfew-assertion', 'x-forwarded-for', 'forwarded', 'via'])
      expect(values(raw, name)).toHaveLength(1)
  })

  test('headers that name another method are dropped where methods are limited', () => {
    const override = ['X-HTTP-Method-Override', 'DELETE', 'X_Http_Method', 'PUT', 'X-Method-Override', 'PATCH']
    const own = ownHeaders(
      { headers: {}, credentials: null, allow: [{ methods: ['GET'], paths: [] }], deny: [] },
      claims,
    )
    expect(passed(override)).toEqual(override)
    expect(passed(override, { own })).toEqual([])
  })
})

describe('claims', () => {
  const role = (headers: HttpRole['headers']) => ({ headers, credentials: null, allow: [], deny: [] })

  test('reach the target by the names that the role gives them, in one line of UTF-8', () => {
    const own = ownHeaders(role({ 'x-email': 'email', 'x-name': 'name' }), claims)
    const raw = toTarget(['X-Email', 'evil', 'x_email', 'evil', 'X.Name', 'evil', 'X-Emails', 'kept'], { own })
    expect(raw.filter((text) => text === 'evil')).toEqual([])
    expect(values(raw, 'x-email')).toEqual(['alice@example.com'])
    expect(Buffer.from(values(raw, 'x-name')[0]!, 'latin1').toString('utf8')).toBe('Zoë X-Evil: 1')
    expect(values(raw, 'x-emails')).toEqual(['kept'])
  })

  test('that somebody does not have are no one else’s to send', () => {
    const own = ownHeaders(role({ 'x-email': 'email' }), { ...claims, email: null })
    expect(names(toTarget(['X-Email', 'evil'], { own }))).not.toContain('x-email')
  })

  test('cannot break out of their header', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (email) => {
        const { headers } = ownHeaders(role({ 'x-email': 'email' }), { ...claims, email })
        for (const text of headers) expect(text).toMatch(/^[\t\x20-\x7e\x80-\xff]*$/)
      }),
    )
  })
})

describe('authorization', () => {
  const injecting = (credentials: HttpCredentials) => ({
    own: ownHeaders({ headers: {}, credentials, allow: [], deny: [] }, claims),
  })
  const sent = ['Authorization', 'Bearer mine', 'X-Key', 'mine']

  test.each([
    ['the application’s own', sent, {}, ['Bearer mine']],
    ['the gateway’s token', sent, { ownAuthorization: true }, []],
    ['the gateway’s token beside a cookie', ['authorization', 'bearer  curfew_abc'], {}, []],
    ['NTLM', ['Authorization', 'NTLM abc'], {}, []],
    ['Negotiate', ['Authorization', 'Negotiate abc'], {}, []],
    ['an underscore does not help', ['Authorization_', 'a', 'Authorization', 'Digest x'], {}, ['Digest x']],
    [
      'basic',
      sent,
      injecting({ kind: 'basic', user: 'ü', password: new Secret('p:w') }),
      [`Basic ${Buffer.from('ü:p:w').toString('base64')}`],
    ],
    ['bearer', sent, injecting({ kind: 'bearer', token: new Secret('real') }), ['Bearer real']],
    ['a certificate', sent, injecting({ kind: 'certificate', certificate: '', key: new Secret('') }), ['Bearer mine']],
  ])('%s', (_, headers, more, expected) => {
    expect(values(toTarget(headers, more), 'authorization')).toEqual(expected)
  })

  test('a header of another name', () => {
    const raw = toTarget(
      [...sent, 'x_key', 'mine'],
      injecting({ kind: 'header', name: 'X-Key', value: new Secret('real') }),
    )
    expect(values(raw, 'x-key')).toEqual(['real'])
    expect(names(raw)).not.toContain('x_key')
    expect(values(raw, 'authorization')).toEqual(['Bearer mine'])
  })
})

describe('cookies', () => {
  const cookies = (...headers: string[]) => values(toTarget(headers.flatMap((value) => ['Cookie', value])), 'cookie')

  test.each([
    [['a=1; b=2'], ['a=1; b=2']],
    [['a=1;b="x y"'], ['a=1;b="x y"']],
    [['a=1', 'b=2', 'c=3'], ['a=1; b=2; c=3']],
    [['__Host-curfew-app=s'], []],
    [['a=1; __Host-curfew-app=s; b=2'], ['a=1; b=2']],
    [['__Host-curfew=s; a=1; __Host-curfew-way-abcd=s; __Secure-curfew=s'], ['a=1']],
    [['a=1;__HOST-Curfew-App=s;b=2'], ['a=1;b=2']],
    [['a=1;\t __Host-curfew-app = s'], ['a=1']],
    [['a="; __Host-curfew-app=s; b="'], ['a="; b="']],
    [['"__Host-curfew-app"=s; $Version=1'], ['$Version=1']],
    [['__Host-curfew-app=s; __Host-curfew-app=t'], []],
    [['=__Host-curfew-app=s'], []],
    [['a=1', '__Host-curfew-app=s', 'b=2'], ['a=1; b=2']],
    [['__Host-other=1; curfew=2'], ['__Host-other=1; curfew=2']],
  ])('%j', (sent, expected) => {
    expect(cookies(...sent)).toEqual(expected)
  })

  test('a secret of the gateway never arrives, however cookies are cut into fields', () => {
    const pair = fc.constantFrom(
      'a=1',
      'b="',
      '"',
      '',
      ' ',
      '__Host-curfew-app=SECRET',
      '__host-CURFEW-way-x=SECRET',
      '__Secure-curfew=SECRET',
      'a=b __Host-curfew-app=SECRET',
    )
    fc.assert(
      fc.property(fc.array(fc.array(pair)), fc.constantFrom(';', '; ', ' ;\t'), (fields, separator) => {
        expect(cookies(...fields.map((pairs) => pairs.join(separator))).join()).not.toContain('SECRET')
      }),
    )
  })
})

describe('towards the client', () => {
  const answer = {
    version: '1.1',
    publicOrigin: 'https://app.example.test',
    targetPlaces: targetPlaces(
      [
        { host: '10.0.0.5', port: 3000 },
        { host: '::1', port: 80 },
      ],
      'https://app.example.test',
    ),
  } as const
  const toClient = (raw: readonly string[]) => towardsClient(raw, answer)
  const value = (name: string, text: string) => values(toClient([name, text]), name)[0]

  test('common headers pass, those of the hop do not', () => {
    const common = [
      'Content-Type',
      'a',
      'ETag',
      'b',
      'Content-Length',
      '3',
      'Service-Worker-Allowed',
      '/',
      'X-Frame-Options',
      'DENY',
    ]
    const perHop = [
      'Connection',
      'close, X-Hop',
      'X-Hop',
      '1',
      'Keep-Alive',
      'a',
      'Transfer-Encoding',
      'chunked',
      'Proxy-Authenticate',
      'Basic',
      'Upgrade',
      'h2c',
      'Trailer',
      'x',
    ]
    expect(toClient([...perHop, ...common])).toEqual(common)
  })

  test('HTTP/2 has names in lower case', () => {
    expect(towardsClient(['ETag', 'A', 'Set-Cookie', 'B=C'], { ...answer, version: '2' })).toEqual([
      'etag',
      'A',
      'set-cookie',
      'B=C',
    ])
  })

  test.each([
    ['a=1; Path=/; HttpOnly', 'a=1; Path=/; HttpOnly'],
    ['a=1; Domain=example.test; Path=/', 'a=1; Path=/'],
    ['a=1;domain = .example.test;DOMAIN;Secure', 'a=1;Secure'],
    ['a="; Domain=example.test"', 'a="'],
    ['domain=1; Path=/', 'domain=1; Path=/'],
    ['__Host-curfew-app=evil; Path=/', undefined],
    [' __host-CURFEW=evil', undefined],
    ['=__Secure-curfew=evil', undefined],
  ])('Set-Cookie: %s', (given, expected) => {
    expect(value('Set-Cookie', given)).toBe(expected)
  })

  test.each([
    ['http://10.0.0.5:3000/login?x#y', 'https://app.example.test/login?x#y'],
    ['HTTP://10.0.0.5:3000', 'https://app.example.test'],
    ['//10.0.0.5:3000/a', 'https://app.example.test/a'],
    ['http://[::1]/a', 'https://app.example.test/a'],
    ['http://app.example.test/a', 'https://app.example.test/a'],
    ['http://10.0.0.5:3001/a', 'http://10.0.0.5:3001/a'],
    ['http://10.0.0.5:3000@evil.test/', 'http://10.0.0.5:3000@evil.test/'],
    ['http://10.0.0.5:3000.evil.test/', 'http://10.0.0.5:3000.evil.test/'],
    ['https://login.example.com/', 'https://login.example.com/'],
    ['/a', '/a'],
    ['?x', '?x'],
  ])('Location: %s', (given, expected) => {
    expect(value('Location', given)).toBe(expected)
    expect(value('Content-Location', given)).toBe(expected)
  })

  test.each([
    ['Strict-Transport-Security', 'max-age=1; includeSubDomains; preload', 'max-age=1'],
    ['Strict-Transport-Security', 'max-age=1', 'max-age=1'],
    ['Clear-Site-Data', '"cookies"', undefined],
    ['Clear-Site-Data', '"cache", "cookies"', '"cache"'],
    ['Clear-Site-Data', '"*"', '"cache", "storage"'],
    ['WWW-Authenticate', 'Negotiate', undefined],
    ['WWW-Authenticate', 'NTLM abc==', undefined],
    ['WWW-Authenticate', 'Negotiate, Basic realm="a"', 'Basic realm="a"'],
    ['WWW-Authenticate', 'Basic realm="ntlm"', 'Basic realm="ntlm"'],
    ['Alt-Svc', 'h3=":443"', undefined],
    ['Public-Key-Pins', 'pin', undefined],
    ['Access-Control-Allow-Origin', '*', undefined],
    ['Access-Control-Allow-Credentials', 'true', undefined],
    ['Access-Control-Expose-Headers', 'X-A', 'X-A'],
    ['Curfew-Assertion', 'x', undefined],
  ])('%s: %s', (name, given, expected) => {
    expect(value(name, given)).toBe(expected)
  })
})

test('trailers neither frame, route, sign in nor set cookies', () => {
  const bad = [
    'Content-Length',
    'Transfer-Encoding',
    'Host',
    'Authorization',
    'Cookie',
    'Set-Cookie',
    'Content-Type',
    'Curfew-Assertion',
    'X-Forwarded-For',
    'X_Forwarded_For',
    'If-Match',
    'TE',
    'Via',
  ]
  expect(
    forwardTrailers([
      ...bad.flatMap((name) => [name, 'x']),
      'Grpc-Status',
      '0',
      'X-Checksum',
      'a',
      'Server-Timing',
      'b',
    ]),
  ).toEqual(['Grpc-Status', '0', 'X-Checksum', 'a', 'Server-Timing', 'b'])
})

test('trailers of a request say nothing by the names of the role’s own headers, and name no other method', () => {
  const limits = { credentials: null, allow: [], deny: [{ methods: [], paths: ['/x'] }] }
  const role = { ...limits, headers: { 'X-User': 'email' } } as const
  const own = ownHeaders(role, claims)
  const sent = ['X-User', 'x_user', 'X-HTTP-Method-Override', 'X-Checksum'].flatMap((name) => [name, 'x'])
  expect(forwardTrailers(sent, own)).toEqual(['X-Checksum', 'x'])
  expect(forwardTrailers(sent, noOwn)).toEqual(sent)
})

test('no group passes for another in the list of them', () => {
  expect(groupList(['Domain Admins', 'mine,admins', ' admins', 'admins\n', 'a\x00b', 'zoë', 'ops'])).toBe(
    'Domain Admins,zoë,ops',
  )
})
