import fc from 'fast-check'
import { expect, test } from 'vitest'
import { maskCommand } from '../../../src/protocols/postgres/mask-command.ts'
import { maskSecrets, maskStatement, maskText, secretValue } from '../../../src/protocols/postgres/mask.ts'
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
  // Mistakes, and secrets all the same.
  ['alter role bob password "hunter2"', "alter role bob password '[masked]'"],
  ['create user bob with login password hunter2', "create user bob with login password '[masked]'"],
  ['create table users (name text, password text)', 'create table users (name text, password text)'],
  // Comparisons, on either side.
  [
    "select 1 from u where password in ('hunter2', 'hunter3')",
    "select 1 from u where password in ('[masked]', '[masked]')",
  ],
  ["select 1 from u where password not like 'hunter%'", "select 1 from u where password not like '[masked]'"],
  [
    "select 1 from u where password <> all (array['hunter2', 'x'])",
    "select 1 from u where password <> all (array['[masked]', '[masked]'])",
  ],
  [
    "select 1 from u where 'hunter2' = api_token and name = 'bob'",
    "select 1 from u where '[masked]' = api_token and name = 'bob'",
  ],
  [
    "select 1 from u where password is distinct from 'hunter2'",
    "select 1 from u where password is distinct from '[masked]'",
  ],
  ["select 1 from pg_authid where rolpassword = 'hunter2'", "select 1 from pg_authid where rolpassword = '[masked]'"],
  ["update u set pwd = 'hunter2', cwd = '/tmp'", "update u set pwd = '[masked]', cwd = '/tmp'"],
  // What is inserted, by the names of the columns.
  [
    "insert into u (name, password, age) values ('bob', 'hunter2', '7'), ('eve', crypt('hunter3', x), '8')",
    "insert into u (name, password, age) values ('bob', '[masked]', '7'), ('eve', crypt('[masked]', x), '8')",
  ],
  ["insert into u (name) values ('password'); select 'x'", "insert into u (name) values ('password'); select 'x'"],
  // Settings.
  [
    "select set_config('app.password', 'hunter2', false), 'x'",
    "select set_config('app.password', '[masked]', false), 'x'",
  ],
  ["set app.jwt_token to 'hunter2'", "set app.jwt_token to '[masked]'"],
  [
    "alter system set primary_conninfo = 'host=h password=hunter2'",
    "alter system set primary_conninfo = 'host=h password=[masked]'",
  ],
  [
    "select set_config('search_path', 'shop', false) as token",
    "select set_config('search_path', 'shop', false) as token",
  ],
  // Connection strings, wherever they stand.
  [
    "select dblink_connect('c', 'host=h user=u password = ''hunter2''')",
    "select dblink_connect('c', 'host=h user=u password = [masked]')",
  ],
  [
    "alter subscription s connection 'postgres://bob:hunter2@h/db'",
    "alter subscription s connection 'postgres://bob:[masked]@h/db'",
  ],
  [
    "create server s foreign data wrapper w options (host 'h', sslpassword 'hunter2')",
    "create server s foreign data wrapper w options (host 'h', sslpassword '[masked]')",
  ],
  // Commands of a shell.
  ["copy t from program 'curl -u bob:hunter2 https://h/x'", "copy t from program 'curl -u bob:[masked] https://h/x'"],
  [
    "copy t to program 'PGPASSWORD=hunter2 psql -p 5433 -h x'",
    "copy t to program 'PGPASSWORD=[masked] psql -p 5433 -h x'",
  ],
  [
    'copy t to program $$AWS_SECRET_ACCESS_KEY=hunter2 aws s3 cp - s3://b$$',
    'copy t to program $$AWS_SECRET_ACCESS_KEY=[masked] aws s3 cp - s3://b$$',
  ],
  [
    `copy t to program 'curl -H "Authorization: Bearer hunter2" https://h'`,
    `copy t to program 'curl -H "Authorization: [masked]" https://h'`,
  ],
  ["copy t to program 'tool --api-token hunter2 --level 9'", "copy t to program 'tool --api-token [masked] --level 9'"],
  ["copy t to program 'mysql -phunter2 db'", "copy t to program 'mysql -p[masked] db'"],
  ["copy t to program 'mkdir -p /srv/x'", "copy t to program 'mkdir -p /srv/x'"],
])('%s', (sql, masked) => {
  expect(maskStatement(sql)).toBe(masked)
})

// Goal: what is given to something that is named like a secret is one, whatever is done to it on the way.
test.each([
  "update u set password = crypt(S, gen_salt('bf')) where id = 7",
  'update u set password = encode(digest(S, $x$sha256$x$), lower(S)), name = 8',
  'update u set password = case when id in (1, 2) then S else S end where id = 7',
  "update u set (name, password) = ('bob', S) where id = 7",
  'update u set (password, name) = row(S, name) where id = 7',
  'select 1 from u where password = crypt(S, password)',
  'select 1 from u where crypt(S, password) = password',
  'select 1 from u where S::text = u.password',
  "select 1 from u where name = 'x' or md5(S || salt) = lower(u.password)",
  'select 1 from u where (u.password)::text = (S::text)',
  'select 1 from u where lower(password) = S',
  'select 1 from u where password collate "C" = S',
  'select 1 from u where password operator(pg_catalog.=) S',
  "select 1 from u where (name, password) in (('bob', S))",
  'insert into u (name, password) select name, S from v',
  'insert into u (name, password) overriding system value values (1, S)',
  'insert into u (name, password) (values (1, S))',
  "insert into u (name, password) select a, crypt(b, S) from (values ('bob', S)) as v(a, b)",
  "insert into u (name, password) select 'bob', 'x' union all select 'eve', S",
  'merge into u using v on true when not matched then insert (name, password) values (1, S)',
  "select 1 from u where data->>'password' = S",
  "update u set data['api_key'] = S where id = 7",
  "select 1 from u where secret->>'value' = S",
  "select jsonb_build_object('name', 'x', 'password', S, 'more', 'y')",
  "update u set data = data || jsonb_build_object('api_key'::text, (S || 'x'))",
  "update u set data = jsonb_set(data, '{login,password}', to_jsonb(S::text), true)",
  "select hstore(array['password', S, 'name', 'x'])",
  "insert into settings values ('password', S, 1), ('theme', 'dark', 2)",
  'select set_password(1, S), 1',
  'create table u (id int, password varchar(20) default S)',
  'alter table u alter column password set default S',
  'do $b$ declare v_password constant text := S; begin end $b$',
  "do $b$ declare password varchar(20) default 'x' || S; begin end $b$",
  "select dblink_connect('host=h password=' || S)",
  "select dblink_connect(format('host=h password=%s port=%s', S, 1))",
  "select dblink_connect(concat('host=h password=', S))",
  "alter system set archive_command = 'AWS_SECRET_ACCESS_KEY=N wal-g wal-push %p'",
  "alter system set restore_command to 'curl -u bob:N https://h/%f -o %p'",
  // Without quotes, or with others.
  'alter role bob password N',
  'alter role bob password N-w! login',
  'alter role bob password 1N',
  'alter role bob password 2026',
  'alter role bob password = N valid until x',
  'alter role bob password @N;',
  'alter role bob password `N`',
  'set app.password = N',
  'set local app.api_key to N-w',
  'set app.secret_key = 2026',
  'alter role bob set app.token to N',
  // Comments are recorded, too.
  'select 1 -- alter role bob password S',
  '/* host=h password=N */ select 1',
  'do $b$ begin -- postgres://bob:N@h\n end $b$',
])('%s', (pattern) => {
  const secret = 'Zq9hunter2'
  const sql = pattern.replaceAll(/\bS\b/g, `'${secret}'`).replaceAll(/N(?=\b)/g, secret)
  const masked = maskStatement(sql)
  expect(masked).toContain('[masked]')
  expect(masked).not.toMatch(/Zq9hunter2|2026|-w|!|@Z|`/)
})

// Whatever is done to a secret on its way to the name, or to the name on its way to the secret.
const { expression } = fc.letrec((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4 },
    fc.constant('S'),
    tie('expression').map((inner) => `(${String(inner)})`),
    tie('expression').map((inner) => `md5(${String(inner)})`),
    tie('expression').map((inner) => `crypt(${String(inner)}, gen_salt(8))`),
    tie('expression').map((inner) => `coalesce(null, x.y, ${String(inner)})::text`),
    tie('expression').map((inner) => `${String(inner)} || "salt"`),
    tie('expression').map((inner) => `case when a < 1 and b then ${String(inner)} else null end`),
    tie('expression').map((inner) => `(array[a, ${String(inner)}])[1]`),
    tie('expression').map((inner) => `(select ${String(inner)} from v where a = 1 and b = 2 limit 1)`),
  ),
}))

test('no secret is left in an expression that goes to a name, and nothing else is masked', () => {
  const statements = fc.constantFrom(
    "update u set a = 'first', password = X, note = 'tail' where id = 'tail'",
    "select * from u where a = 'first' and u.password = X and b = 'tail'",
    "select * from u where a = 'first' and X = u.password and b = 'tail'",
    "select * from u where a = 'first' or lower(u.password::text) = lower(X) or b = 'tail'",
    "insert into u (a, password, note) values ('first', X, 'tail'), ('tail', X, 'tail')",
    "insert into u (a, password, note) select 'first', X, 'tail' from v where id = 'tail'",
  )
  fc.assert(
    fc.property(statements, expression, (statement, way) => {
      const masked = maskStatement(statement.replaceAll('X', () => String(way).replaceAll('S', "'hunter2'")))
      expect(masked).not.toContain('hunter2')
      expect(masked.split("'first'")).toHaveLength(2)
      expect(masked.split("'tail'")).toHaveLength(statement.split("'tail'").length)
    }),
    { numRuns: 1000 },
  )
})

test('what is not given to a secret is left', () => {
  for (const sql of [
    "select id, token, created_at from api_tokens where owner = 'bob' and revoked_at is null",
    "select max(password) from u where name = 'bob'",
    "select s.password, t.a from (select password from u) s join t on t.a = 'x' where t.b = 'y'",
    "with x as (select token from a where kind = 'x') select * from x where note = 'shown'",
    "select 1 from columns where name = 'password' and kind = 'x' or name in ('token', 'x')",
    "update u set password = null, name = 'bob' where note = 'shown'",
    "select 1 from u where password = old.password and name = 'bob'",
    "select 1 from u where (password is null) and name = 'bob' order by 'x'",
    "insert into u (name, password) select name, password from v where kind = 'old' and note = 'shown'",
    "insert into u (name, password) values ('bob', null) on conflict (name) do update set note = 'shown'",
    "create table token (id int, kind text check (kind in ('a', 'b')))",
    "create function f(password text) returns text language sql as 'select 1'",
    "create index i on u (token) where kind = 'x'",
    "alter role bob set search_path to 'shop'",
    "set password_encryption = 'scram-sha-256'",
    '-- the password is set elsewhere\nselect 1 /* pwd */',
  ]) {
    expect(maskStatement(sql)).toBe(sql)
  }
})

test('backslashes end no string when standard_conforming_strings is off', () => {
  const sql = String.raw`alter role bob password 'hun\'ter2' login`
  expect(maskStatement(sql, true)).toBe("alter role bob password '[masked]' login")
})

test('rows are masked by the names of their columns', () => {
  const shown = ['rolpassword', 'passwd', 'api_key', 'access_token', 'pwd', 'rolname', 'password_set_at'].map((name) =>
    secretValue(name, 'x'),
  )
  expect(shown).toEqual([...Array.from({ length: 5 }, () => '[masked]'), 'x', 'x'])
})

test('parameters are known whose values are secrets', () => {
  const parametersOf = (sql: string) => [...maskSecrets(sql, false).parameters]
  expect(parametersOf('update u set name = $1, password = $2 where id = $3')).toEqual([2])
  expect(parametersOf('insert into u (name, password) values ($1, $2), ($3, crypt($4, $5))')).toEqual([2, 4, 5])
  expect(parametersOf("select set_config('my.secret', $1, $2)")).toEqual([1, 2])
  expect(parametersOf('select $1 as password, $2')).toEqual([])
  expect(parametersOf("update u set password = crypt($1, gen_salt('bf')) where id = $2")).toEqual([1])
  expect(parametersOf('select $1 from u where $2 = name and crypt($3, password) = password and id = $4')).toEqual([3])
  expect(parametersOf('insert into u (name, password) select $1, $2 from v where id = $3')).toEqual([2])
  expect(parametersOf("select dblink_connect('password=' || $1)")).toEqual([1])
})

test('texts that are no SQL lose the passwords of connection strings, and of statements that they quote', () => {
  expect(maskText("statement: alter role bob password 'hunter2' login")).toBe(
    "statement: alter role bob password '[masked]' login",
  )
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
  const more = ['$a', '$a$', 'secret_', "'password ", '/*', '/**/', '--', '"a"', '1', '\u00e9', "'a'="]
  const nested = ["('a'", "'a'=(", "password=('a',", '(password', '--\n', 'case ', "'a'=password,"]
  for (const piece of [...pieces, ...more, ...nested]) {
    const many = piece.repeat(Math.ceil(long / piece.length))
    const cpu = process.cpuUsage()
    for (const sql of [`password ${many}`, `password '${many}'`, `password $x$'${many}$x$`]) {
      maskStatement(sql)
      maskText(sql)
    }
    expect(process.cpuUsage(cpu).user / 1000, piece).toBeLessThan(3000)
  }
})

test('of what takes too long to look through the rest is left out, and may all be secret', () => {
  const many = `select password, ${"'a',".repeat(200_000)}`
  const { sql, parameters, isCut } = maskSecrets(`${many} 'hunter2' = password, $7`, false)
  expect([isCut, many.startsWith(sql), sql.length > 300_000]).toEqual([true, true, true])
  expect([parameters.has(1), parameters.has(7), parameters.has(256)]).toEqual([true, true, true])
  expect(maskStatement(many)).toBe(`${sql} …`)
  expect(maskSecrets(`select ${"'a',".repeat(200_000)}1`, false).isCut).toBe(false)
})

test('of a text that goes on, its end may be the beginning of a secret', () => {
  const beginning = (sql: string) => maskStatement(sql, false, true)
  expect(beginning("create subscription s connection 'postgres://bob:hun")).toBe(
    "create subscription s connection 'postgres://bob:[masked] …",
  )
  expect(beginning("alter role bob password 'hun")).toBe("alter role bob password '[masked]' …")
  expect(beginning("select * from t where password is null or 'hunter2' =")).toBe(
    'select * from t where password is null or  …',
  )
  expect(beginning("select secret from t where note = 'shown'; select 1")).toContain('shown')
})

test('no command takes long', () => {
  const long = 256 * 1024
  for (const piece of ['-a', '-key', ' -u a', ' token', 'x=', 'cookie', ' -p']) {
    const cpu = process.cpuUsage()
    maskCommand(piece.repeat(long / piece.length))
    expect(process.cpuUsage(cpu).user / 1000, piece).toBeLessThan(1000)
  }
})
