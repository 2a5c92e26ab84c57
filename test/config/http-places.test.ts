import { afterAll, beforeAll, describe } from 'vitest'
import type { ConfigFolder } from './example.ts'
import {
  addresses,
  makeHttpFolder,
  spoilt,
  testRefusals,
  withCredentials,
  withUrl,
  type Refusal,
} from './http-example.ts'

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeHttpFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

const withHosts = (text: string) => spoilt('hosts: [dashboards.example.com]', `hosts: [${text}]`)
const withOrigin = (text: string) => spoilt("origins: ['https://app.example.com']", `origins: ['${text}']`)

const places: readonly Refusal[] = [
  [
    'no address',
    spoilt(`    ${addresses}\n`, ''),
    'curfew.yaml:21:3 resources.grafana: expected either `url` or `urls`, got neither | `url` is for one address, `urls` for a list of them.',
  ],
  [
    'two kinds of addresses',
    spoilt(addresses, `url: http://localhost\n    ${addresses}`),
    'curfew.yaml:21:3 resources.grafana: expected either `url` or `urls`, got both | `url` is for one address, `urls` for a list of them.',
  ],
  [
    'no address in a list',
    spoilt(addresses, 'urls: []'),
    'curfew.yaml:24:11 resources.grafana.urls: expected at least 1 entry, got an empty list',
  ],
  [
    'an address that is a number',
    spoilt(addresses, 'url: 3000'),
    'curfew.yaml:24:10 resources.grafana.url: expected text, got something else',
  ],
  [
    'an address with a path',
    withUrl('https://grafana.internal/d'),
    'curfew.yaml:24:10 resources.grafana.url: expected only scheme, host and port, got a path | The target sees the path that people ask for; a role’s `allow` can limit it.',
  ],
  [
    'an address with a password',
    withUrl('https://admin:hunter2@grafana.internal'),
    'curfew.yaml:24:10 resources.grafana.url: expected only scheme, host and port, got a user name or password | A role’s `credentials` say what the gateway shows the target.',
  ],
  [
    'an address of another scheme',
    withUrl('ftp://grafana.internal'),
    'curfew.yaml:24:10 resources.grafana.url: expected `https://HOST:PORT`, `http://HOST:PORT` or `unix:/PATH`, got ftp://',
  ],
  [
    'an address twice',
    spoilt("'http://127.0.0.1:3000'", "'https://grafana-1.internal:3000'"),
    'curfew.yaml:24:47 resources.grafana.urls[1]: this address is there already',
  ],
  [
    'a socket without its folder',
    spoilt('unix:/run/wiki.sock', 'unix:wiki.sock'),
    'curfew.yaml:41:10 resources.wiki.url: expected the absolute path of a socket, such as unix:/run/app.sock, got another',
  ],
  [
    'a name that no host can have',
    spoilt('  wiki:', '  our_wiki:').replace('grafana, wiki]', 'grafana, our_wiki]'),
    'curfew.yaml:38:3 resources.our_wiki: the name of an application cannot have a _ | Call it "our-wiki": the name is the first part of its address.',
  ],
  [
    'a name that is the gateway’s',
    spoilt('gw.example.com\n', 'gw.example.com\n  domain: example.com\n')
      .replace('  wiki:', '  gw:')
      .replace('grafana, wiki]', 'grafana, gw]'),
    'curfew.yaml:39:3 resources.gw: gw.example.com is the gateway’s own address | Call it something else, or set another `gateway.domain`.',
  ],
  [
    'a host that is the gateway’s',
    withHosts('gw.example.com'),
    'curfew.yaml:26:13 resources.grafana.hosts[0]: gw.example.com is the gateway’s own address',
  ],
  [
    'a host that is another’s own',
    withHosts('wiki.gw.example.com'),
    'curfew.yaml:26:13 resources.grafana.hosts[0]: wiki.gw.example.com leads to wiki',
  ],
  [
    'a host that is another’s, too',
    spoilt('url: unix:/run/wiki.sock', 'url: unix:/run/wiki.sock\n    hosts: [dashboards.example.com]'),
    'curfew.yaml:42:13 resources.wiki.hosts[0]: dashboards.example.com leads to grafana',
  ],
  [
    'a host that it has anyway',
    withHosts('grafana.gw.example.com'),
    'curfew.yaml:26:13 resources.grafana.hosts[0]: this name is there already',
  ],
  [
    'a host twice',
    withHosts('a.example.com, a.example.com'),
    'curfew.yaml:26:28 resources.grafana.hosts[1]: this name is there already',
  ],
  [
    'a host with a wildcard',
    withHosts("'*.example.com'"),
    'curfew.yaml:26:13 resources.grafana.hosts[0]: expected a host name in lower case without scheme, port or wildcard, such as wiki.example.com, got "*.example.com"',
  ],
  [
    'a host with a port',
    withHosts("'a.example.com:8443'"),
    'curfew.yaml:26:13 resources.grafana.hosts[0]: expected a host name in lower case without scheme, port or wildcard, such as wiki.example.com, got "a.example.com:8443"',
  ],
  [
    'a host with a scheme',
    withHosts("'https://a.example.com'"),
    'curfew.yaml:26:13 resources.grafana.hosts[0]: expected a host name in lower case without scheme, port or wildcard, such as wiki.example.com, got "https://a.example.com"',
  ],
  [
    'a host in upper case',
    withHosts('A.example.com'),
    'curfew.yaml:26:13 resources.grafana.hosts[0]: expected a host name in lower case without scheme, port or wildcard, such as wiki.example.com, got "A.example.com"',
  ],
  [
    'a host that is an address',
    withHosts("'192.0.2.1'"),
    'curfew.yaml:26:13 resources.grafana.hosts[0]: expected a host name in lower case without scheme, port or wildcard, such as wiki.example.com, got "192.0.2.1"',
  ],
  [
    'a domain that is none',
    spoilt('gw.example.com\n', "gw.example.com\n  domain: '*.example.com'\n"),
    'curfew.yaml:3:11 gateway.domain: expected a domain in lower case, such as apps.example.com, got "*.example.com"',
  ],
  [
    'an authority that is not there',
    spoilt('ca: ca.pem }\n    hosts', 'ca: gone.pem }\n    hosts'),
    'curfew.yaml:25:16 resources.grafana.tls.ca: cannot read gone.pem: there is no such file',
  ],
  [
    'a certificate that is not there',
    spoilt('apps.pem', 'gone.pem'),
    'curfew.yaml:4:100 listen.web.certificates[0].certificate: cannot read gone.pem: there is no such file',
  ],
  [
    'a certificate with another’s key',
    spoilt('file:apps.key', 'file:gw.key'),
    'curfew.yaml:4:115 listen.web.certificates[0].key: this key does not belong to the certificate (CN=*.gw.example.com)',
  ],
  [
    'a version that is none',
    spoilt('url: unix', 'version: http3\n    url: unix'),
    'curfew.yaml:41:14 resources.wiki.version: expected `http1`, `http2`, got "http3" | Did you mean `http1`?',
  ],
  [
    'a port where the address has it',
    spoilt('url: unix', 'port: 80\n    url: unix'),
    'curfew.yaml:41:5 resources.wiki.port: there is no such key | Did you mean `cors`?',
  ],
]

const behaviour: readonly Refusal[] = [
  [
    'a check without a path',
    spoilt('/api/health', 'api/health'),
    'curfew.yaml:27:21 resources.grafana.health.path: expected a path that begins with `/`, got "api/health"',
  ],
  [
    'a check that never ends',
    spoilt('/api/health', '/api/health, every: 1s'),
    'curfew.yaml:27:5 resources.grafana.health.timeout: an answer may take longer than the time to the next check | Without a value, `every` is 10s and `timeout` is 2s.',
  ],
  [
    'a check all the time',
    spoilt('/api/health', '/api/health, every: 0s, timeout: 1s'),
    'curfew.yaml:27:41 resources.grafana.health.every: expected a length of time above 0, got 0',
  ],
  [
    'a check without time',
    spoilt('/api/health', '/api/health, timeout: 0s'),
    'curfew.yaml:27:43 resources.grafana.health.timeout: expected a length of time above 0, got 0',
  ],
  [
    'a check of what is no path',
    spoilt('/api/health', "'/api health'"),
    'curfew.yaml:27:21 resources.grafana.health.path: expected a path without spaces and #, got another',
  ],
  [
    'any origin',
    withOrigin('*'),
    'curfew.yaml:28:23 resources.grafana.cors.origins[0]: expected an origin such as https://app.example.com, got "*"',
  ],
  [
    'an origin without scheme',
    withOrigin('app.example.com'),
    'curfew.yaml:28:23 resources.grafana.cors.origins[0]: expected an origin such as https://app.example.com, got "app.example.com"',
  ],
  [
    'an origin with a path',
    withOrigin('https://app.example.com/'),
    'curfew.yaml:28:23 resources.grafana.cors.origins[0]: expected an origin such as https://app.example.com, got "https://app.example.com/"',
  ],
  [
    'an origin as no browser writes it',
    withOrigin('https://app.example.com:443'),
    'curfew.yaml:28:23 resources.grafana.cors.origins[0]: expected an origin such as https://app.example.com, got "https://app.example.com:443"',
  ],
  [
    'an origin of its own making',
    withOrigin('null'),
    'curfew.yaml:28:23 resources.grafana.cors.origins[0]: expected an origin such as https://app.example.com, got "null"',
  ],
  [
    'CORS without origins',
    spoilt("origins: ['https://app.example.com'], ", ''),
    'curfew.yaml:28:5 resources.grafana.cors.origins: expected a list, got nothing | Origins whose pages may use it.',
  ],
  [
    'CORS for a method that never passes',
    spoilt('methods: [get], headers', 'methods: [connect], headers'),
    'curfew.yaml:28:61 resources.grafana.cors.methods[0]: CONNECT never passes the gateway | Leave it out.',
  ],
  [
    'CORS for a header that is none',
    spoilt('headers: [X-Trace]', "headers: ['X Trace']"),
    'curfew.yaml:28:77 resources.grafana.cors.headers[0]: expected the name of a header, got "X Trace"',
  ],
  [
    'cookies in recordings',
    spoilt('recordHeaders: [X-Request-Id]', 'recordHeaders: [Set-Cookie]'),
    'curfew.yaml:29:21 resources.grafana.recordHeaders[0]: Set-Cookie carries secrets, which are never recorded',
  ],
  [
    'tokens in recordings',
    spoilt('recordHeaders: [X-Request-Id]', 'recordHeaders: [X-A, Curfew-Token]'),
    'curfew.yaml:29:26 resources.grafana.recordHeaders[1]: Curfew-Token carries secrets, which are never recorded',
  ],
  [
    'a credential in recordings',
    withCredentials('header: { name: X-Request-Id, value: env:APP }'),
    'curfew.yaml:29:21 resources.grafana.recordHeaders[0]: X-Request-Id carries secrets, which are never recorded',
  ],
  [
    'a parameter without a name',
    spoilt('maskQuery: [Ticket]', "maskQuery: ['']"),
    'curfew.yaml:30:17 resources.grafana.maskQuery[0]: expected at least 1 character, got ""',
  ],
  [
    'no idle time',
    spoilt('identity:', 'access: { httpIdle: 0s }\nidentity:'),
    'curfew.yaml:8:21 access.httpIdle: expected a length of time above 0, got 0',
  ],
  [
    'no connections',
    spoilt('identity:', 'limits: { webConnections: 0 }\nidentity:'),
    'curfew.yaml:8:27 limits.webConnections: expected a number of at least 1, got 0',
  ],
]

describe('where an application is:', () => testRefusals(() => folder, places))
describe('how an application behaves:', () => testRefusals(() => folder, behaviour))
