import fc from 'fast-check'
import { expect, test } from 'vitest'
import { maskStatement, maskText } from '../../../src/protocols/postgres/mask.ts'
import { SqlTokens } from '../../../src/protocols/postgres/sql-tokens.ts'

test.each([
  ["create role bob password 'hunter2'", "create role bob password '[masked]'"],
  [
    "ALTER USER bob WITH ENCRYPTED PASSWORD E'hun\\'ter2' VALID UNTIL '2030-01-01'",
    "ALTER USER bob WITH ENCRYPTED PASSWORD '[masked]' VALID UNTIL '2030-01-01'",
  ],
  ['alter role bob password $x$hunter2$x$ login', "alter role bob password '[masked]' login"],
  ["alter role bob password U&'hunter2'", "alter role bob password '[masked]'"],
  [
    "alter role bob password /* 'not this' */ -- nor 'this'\n 'hunter2'",
    "alter role bob password /* 'not this' */ -- nor 'this'\n '[masked]'",
  ],
  ["alter role bob password 'hun'\n'ter2'", "alter role bob password '[masked]'\n'[masked]'"],
  ['alter role bob password null', 'alter role bob password null'],
  [
    "create user mapping for bob server s options (user 'bob', password 'hunter2')",
    "create user mapping for bob server s options (user 'bob', password '[masked]')",
  ],
  [
    'alter user mapping for bob server s options (set "password" \'hunter2\')',
    'alter user mapping for bob server s options (set "password" \'[masked]\')',
  ],
  [
    "create subscription s connection 'host=h user=u password=hunter2 dbname=d' publication p",
    "create subscription s connection 'host=h user=u password=[masked] dbname=d' publication p",
  ],
  [
    "create subscription s connection 'host=h password=''hunter 2'' dbname=d'",
    "create subscription s connection 'host=h password=[masked]'",
  ],
  ["select dblink_connect('postgresql://bob:hunter2@h/d')", "select dblink_connect('postgresql://bob:[masked]@h/d')"],
  ["do $$ begin alter role bob password 'hunter2'; end $$", "do $$ begin alter role bob password '[masked]'; end $$"],
  [
    "do $$ begin execute 'alter role bob password ''hunter2'''; end $$",
    "do $$ begin execute 'alter role bob password [masked]'; end $$",
  ],
  [
    "do $$ begin execute format('alter role bob password %L', 'hunter2'); end $$",
    "do $$ begin execute format('alter role bob password [masked]', '[masked]'); end $$",
  ],
  [
    "update users set password = 'hunter2' where name = 'bob'",
    "update users set password = '[masked]' where name = 'bob'",
  ],
  [
    "select 'password' as word, name from users where kind = 'x'",
    "select 'password' as word, name from users where kind = 'x'",
  ],
  ["select password, 'shown' from users", "select password, 'shown' from users"],
  ["alter role bob password 'unfinished", "alter role bob password '[masked]'"],
])('%s', (sql, masked) => {
  expect(maskStatement(sql)).toBe(masked)
})

test('backslashes end no string when standard_conforming_strings is off', () => {
  const sql = String.raw`alter role bob password 'hun\'ter2' login`
  expect(maskStatement(sql, true)).toBe("alter role bob password '[masked]' login")
})

test('texts that are no SQL lose the passwords of connection strings', () => {
  expect(maskText('host=h password=hunter2')).toBe('host=h password=[masked]')
  expect(maskText('https://bob:hunter2@h/')).toBe('https://bob:[masked]@h/')
  expect(maskText('nothing here')).toBe('nothing here')
})

const password = fc.stringMatching(/^[A-Za-z0-9]{12}$/).map((text) => `Zq9${text}`)
const noise = fc.constantFrom(
  ' ',
  '\n',
  '\t',
  ' /* x */ ',
  " /* 'q' */ ",
  ' --c\n',
  " -- it's\n",
  ' /* a /* b */ c */ ',
)
const literal = fc.constantFrom(
  (text: string) => `'${text}'`,
  (text: string) => `'a''${text}''b'`,
  (text: string) => `E'a\\'${text}'`,
  (text: string) => `e'\\\\${text}'`,
  (text: string) => `U&'${text}'`,
  (text: string) => `$$${text}$$`,
  (text: string) => `$tag$${text}$$ ' $tag$`,
)
const before = fc.constantFrom(
  '',
  "select 'a;b''c'; ",
  'select "it\'s"; ',
  "select $$ it's $$; ",
  "select E'\\''; ",
  "-- it's\n",
  '/* " */ ',
)
const verb = fc.constantFrom(
  'create role r',
  'alter user "r"',
  'ALTER ROLE r ENCRYPTED',
  'create user r with login unencrypted',
)

test('no password of a role is left, whatever stands around it', () => {
  fc.assert(
    fc.property(before, verb, noise, noise, literal, password, (first, start, gap, gap2, quote, secret) => {
      const masked = maskStatement(`${first}${start}${gap}PassWord${gap2}${quote(secret)} login; select 'tail'`)
      expect(masked).not.toContain(secret)
      expect(masked.startsWith(first)).toBe(true)
      expect(masked.endsWith("login; select 'tail'")).toBe(true)
    }),
    { numRuns: 500 },
  )
})

test('a statement that names no secret is left as it is, and tokens never overlap', () => {
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom('a', "'", '"', '$', 'E', '\\', ';', '-', '/', '*', ' ', '\n', '1'),
        maxLength: 60,
      }),
      fc.boolean(),
      (sql, backslashes) => {
        expect(maskStatement(sql, backslashes)).toBe(sql)
        let at = 0
        const token = new SqlTokens(sql, backslashes)
        while (token.next()) {
          expect(token.from).toBeGreaterThanOrEqual(at)
          expect(token.to).toBeGreaterThan(token.from)
          expect(token.to).toBeLessThanOrEqual(sql.length)
          at = token.to
        }
      },
    ),
  )
})

// A megabyte is what is kept of a statement. A CPU needs some 50 ms for the worst of these; squares would take many seconds.
test('no text takes long', () => {
  const long = 1024 * 1024
  const pieces = [
    'a://',
    '://:',
    '://a:b',
    ',',
    'a ',
    "'a',",
    "E'\\\\'",
    'password;',
    'password ',
    'password=',
    "password='",
  ]
  const more = ['$a', '$a$', 'secret_', "'password ", '/*', '/**/', '--', '"a"', '1', '\u00e9']
  for (const piece of [...pieces, ...more]) {
    const many = piece.repeat(Math.ceil(long / piece.length))
    const cpu = process.cpuUsage()
    for (const sql of [`password ${many}`, `password '${many}'`, `password $x$'${many}$x$`]) {
      maskStatement(sql)
      maskText(sql)
    }
    expect(process.cpuUsage(cpu).user / 1000, piece).toBeLessThan(3000)
  }
})
