import { afterAll, beforeAll, describe } from 'vitest'
import type { ConfigFolder } from './example.ts'
import { credentials, makeHttpFolder, spoilt, testRefusals, withCredentials, type Refusal } from './http-example.ts'

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeHttpFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

const headers = 'headers: { X-WEBAUTH-USER: email }'
const withHeaders = (text: string) => spoilt(headers, `headers: { ${text} }`)
const withRule = (text: string) => spoilt('allow: [{ methods: [get, HEAD], paths: [/api/**] }]', `allow: [{ ${text} }]`)

const roles: readonly Refusal[] = [
  [
    'a rule about nothing',
    withRule(''),
    'curfew.yaml:33:17 resources.grafana.roles.viewer.allow[0]: expected `methods`, `paths` or both, got neither',
  ],
  [
    'a method that is none',
    withRule("methods: ['GET POST']"),
    'curfew.yaml:33:29 resources.grafana.roles.viewer.allow[0].methods[0]: expected a method such as GET, got "GET POST"',
  ],
  [
    'CONNECT',
    withRule('methods: [GET, CONNECT]'),
    'curfew.yaml:33:34 resources.grafana.roles.viewer.allow[0].methods[1]: CONNECT never passes the gateway | Leave it out.',
  ],
  [
    'TRACE',
    withRule('methods: [trace]'),
    'curfew.yaml:33:29 resources.grafana.roles.viewer.allow[0].methods[0]: TRACE never passes the gateway | Leave it out.',
  ],
  [
    'a pattern without its slash',
    withRule('paths: [api/**]'),
    'curfew.yaml:33:27 resources.grafana.roles.viewer.allow[0].paths[0]: expected a path that begins with `/`, got "api/**"',
  ],
  [
    'a pattern with a query',
    withRule("paths: ['/api?x=*']"),
    'curfew.yaml:33:27 resources.grafana.roles.viewer.allow[0].paths[0]: expected a pattern without ? and #, got one with them | Patterns are about the path only: `*` stands for text within a segment, `**` for any segments.',
  ],
  [
    'a pattern with a fragment',
    withRule("paths: ['/api#x']"),
    'curfew.yaml:33:27 resources.grafana.roles.viewer.allow[0].paths[0]: expected a pattern without ? and #, got one with them | Patterns are about the path only: `*` stands for text within a segment, `**` for any segments.',
  ],
  [
    'a pattern with empty segments',
    withRule('paths: [/api//x]'),
    'curfew.yaml:33:27 resources.grafana.roles.viewer.allow[0].paths[0]: expected a pattern that a path can have, got one that none has | Encoded slashes, backslashes and control characters are refused; empty, . and .. segments are gone before the path is looked at.',
  ],
  [
    'a pattern with dots',
    withRule('paths: [/api/../x]'),
    'curfew.yaml:33:27 resources.grafana.roles.viewer.allow[0].paths[0]: expected a pattern that a path can have, got one that none has | Encoded slashes, backslashes and control characters are refused; empty, . and .. segments are gone before the path is looked at.',
  ],
  [
    'a pattern with an encoded slash',
    withRule("paths: ['/a%2fb']"),
    'curfew.yaml:33:27 resources.grafana.roles.viewer.allow[0].paths[0]: expected a pattern that a path can have, got one that none has | Encoded slashes, backslashes and control characters are refused; empty, . and .. segments are gone before the path is looked at.',
  ],
  [
    'a pattern with a broken escape',
    withRule("paths: ['/a%zz']"),
    'curfew.yaml:33:27 resources.grafana.roles.viewer.allow[0].paths[0]: expected a pattern that a path can have, got one that none has | Encoded slashes, backslashes and control characters are refused; empty, . and .. segments are gone before the path is looked at.',
  ],
  [
    'a pattern with a backslash',
    withRule(String.raw`paths: ['/a\b']`),
    'curfew.yaml:33:27 resources.grafana.roles.viewer.allow[0].paths[0]: expected a pattern that a path can have, got one that none has | Encoded slashes, backslashes and control characters are refused; empty, . and .. segments are gone before the path is looked at.',
  ],
  [
    'a claim that is none',
    withHeaders('X-WEBAUTH-USER: mail'),
    'curfew.yaml:35:36 resources.grafana.roles.viewer.headers.X-WEBAUTH-USER: expected `email`, `name`, `subject`, `id`, `groups`, `role`, got "mail" | Did you mean `email`?',
  ],
  [
    'a claim in what is no header',
    withHeaders("'X User': email"),
    'curfew.yaml:35:20 resources.grafana.roles.viewer.headers."X User": expected the name of a header, got "X User"',
  ],
  [
    'a claim in Host',
    withHeaders('Host: email'),
    'curfew.yaml:35:20 resources.grafana.roles.viewer.headers.Host: Host says which application is meant | Choose another header.',
  ],
  [
    'a claim in a hop’s header',
    withHeaders('Connection: email'),
    'curfew.yaml:35:20 resources.grafana.roles.viewer.headers.Connection: Connection belongs to the connection | Choose another header.',
  ],
  [
    'a claim in Content-Length',
    withHeaders('Content-Length: email'),
    'curfew.yaml:35:20 resources.grafana.roles.viewer.headers.Content-Length: Content-Length belongs to the connection | Choose another header.',
  ],
  [
    'a claim in Cookie',
    withHeaders('Cookie: email'),
    'curfew.yaml:35:20 resources.grafana.roles.viewer.headers.Cookie: Cookie belongs to the person and the application | Choose another header.',
  ],
  [
    'a claim in Authorization',
    withHeaders('Authorization: email'),
    'curfew.yaml:35:20 resources.grafana.roles.viewer.headers.Authorization: Authorization carries credentials, no claims | See `credentials`.',
  ],
  [
    'a claim in X-Forwarded-For',
    withHeaders('X_Forwarded_For: email'),
    'curfew.yaml:35:20 resources.grafana.roles.viewer.headers.X_Forwarded_For: X_Forwarded_For tells the target where a request comes from | Choose another header.',
  ],
  [
    'a claim in the gateway’s own',
    withHeaders('Curfew-Assertion: email'),
    'curfew.yaml:35:20 resources.grafana.roles.viewer.headers.Curfew-Assertion: Curfew-Assertion is the gateway’s own | Choose another header.',
  ],
  [
    'a claim in the browser’s own',
    withHeaders('Sec-Fetch-User: email'),
    'curfew.yaml:35:20 resources.grafana.roles.viewer.headers.Sec-Fetch-User: Sec-Fetch-User is the browser’s own | Choose another header.',
  ],
  [
    'a header twice',
    withHeaders('X-User: email, x_user: name'),
    'curfew.yaml:35:35 resources.grafana.roles.viewer.headers.x_user: to many servers this is the same header as X-User',
  ],
  [
    'two credentials',
    withCredentials('bearer: env:APP, header: { name: X-Key, value: env:APP }'),
    'curfew.yaml:36:22 resources.grafana.roles.viewer.credentials: expected exactly one of `basic`, `bearer`, `header`, `certificate`, got a map',
  ],
  [
    'no credentials',
    withCredentials(''),
    'curfew.yaml:36:22 resources.grafana.roles.viewer.credentials: expected exactly one of `basic`, `bearer`, `header`, `certificate`, got an empty map',
  ],
  [
    'a token in the file',
    withCredentials('bearer: hunter2'),
    'curfew.yaml:36:32 resources.grafana.roles.viewer.credentials.bearer: expected a reference, env:NAME or file:PATH, as secrets are never written here, got something else',
  ],
  [
    'a value in the file',
    withCredentials('header: { name: X-Key, value: hunter2 }'),
    'curfew.yaml:36:54 resources.grafana.roles.viewer.credentials.header.value: expected a reference, env:NAME or file:PATH, as secrets are never written here, got something else',
  ],
  [
    'a password in the file',
    withCredentials('basic: { user: curfew, password: hunter2 }'),
    'curfew.yaml:36:57 resources.grafana.roles.viewer.credentials.basic.password: expected a reference, env:NAME or file:PATH, as secrets are never written here, got something else',
  ],
  [
    'credentials as one text',
    spoilt(credentials, 'credentials: curfew:hunter2'),
    'curfew.yaml:36:22 resources.grafana.roles.viewer.credentials: expected a map, got something else',
  ],
  [
    'basic credentials as one text',
    withCredentials('basic: curfew:hunter2'),
    'curfew.yaml:36:31 resources.grafana.roles.viewer.credentials.basic: expected a map, got something else',
  ],
  [
    'a user name with a colon',
    withCredentials("basic: { user: 'a:b', password: env:APP }"),
    'curfew.yaml:36:39 resources.grafana.roles.viewer.credentials.basic.user: expected a user name without : and control characters, got another',
  ],
  [
    'a password that no header carries',
    withCredentials('basic: { user: a, password: env:BELL }'),
    'curfew.yaml:36:52 resources.grafana.roles.viewer.credentials.basic.password: expected a password without control characters, env:BELL holds another',
  ],
  [
    'a token that no header carries',
    withCredentials('bearer: env:SPACED'),
    'curfew.yaml:36:32 resources.grafana.roles.viewer.credentials.bearer: expected a token of visible ASCII characters, env:SPACED holds another',
  ],
  [
    'a value that would be two headers',
    withCredentials('header: { name: X-Key, value: env:CRLF }'),
    'curfew.yaml:36:54 resources.grafana.roles.viewer.credentials.header.value: expected the value of a header, ASCII in one line, env:CRLF holds another',
  ],
  [
    'a secret that is not set',
    withCredentials('bearer: env:ABSENT'),
    'curfew.yaml:36:32 resources.grafana.roles.viewer.credentials.bearer: the environment variable ABSENT is not set | Start with ABSENT=… set.',
  ],
  [
    'a credential in Cookie',
    withCredentials('header: { name: Cookie, value: env:APP }'),
    'curfew.yaml:36:40 resources.grafana.roles.viewer.credentials.header.name: Cookie belongs to the person and the application | Choose another header.',
  ],
  [
    'a credential in the gateway’s own',
    withCredentials('header: { name: Curfew-Token, value: env:APP }'),
    'curfew.yaml:36:40 resources.grafana.roles.viewer.credentials.header.name: Curfew-Token is the gateway’s own | Choose another header.',
  ],
  [
    'a credential where a claim is',
    withCredentials('header: { name: x-webauth-user, value: env:APP }'),
    'curfew.yaml:36:40 resources.grafana.roles.viewer.credentials.header.name: the role’s `headers` set X-WEBAUTH-USER, too | A header can carry one of them.',
  ],
  [
    'a client certificate for nobody',
    withCredentials('certificate: { certificate: gw.pem, key: file:gw.key }').replace(
      "'https://grafana-1.internal:3000', ",
      '',
    ),
    'curfew.yaml:36:24 resources.grafana.roles.viewer.credentials.certificate: nobody asks for it: there is no `https://` address',
  ],
  [
    'a client certificate with another’s key',
    withCredentials('certificate: { certificate: gw.pem, key: file:apps.key }'),
    'curfew.yaml:36:65 resources.grafana.roles.viewer.credentials.certificate.key: this key does not belong to the certificate (CN=gw.example.com)',
  ],
  [
    'bodies of no type',
    spoilt('types: [application/JSON]', 'types: []'),
    'curfew.yaml:37:32 resources.grafana.roles.viewer.recordBodies.types: expected at least 1 entry, got an empty list',
  ],
  [
    'bodies of a type that is none',
    spoilt('types: [application/JSON]', 'types: [json]'),
    'curfew.yaml:37:33 resources.grafana.roles.viewer.recordBodies.types[0]: expected a media type such as application/json, got "json"',
  ],
  [
    'bodies without a size',
    spoilt('limit: 1KiB', 'limit: 1000'),
    'curfew.yaml:37:59 resources.grafana.roles.viewer.recordBodies.limit: expected a size such as 256KiB, 1MiB or 2GiB, got 1000',
  ],
  [
    'a key of another kind',
    spoilt('reader: {}', 'reader: { login: x }'),
    'curfew.yaml:43:17 resources.wiki.roles.reader.login: there is no such key | Known here: description, allow, deny, headers, credentials, recordBodies, recording.',
  ],
]

describe('a role:', () => testRefusals(() => folder, roles))
