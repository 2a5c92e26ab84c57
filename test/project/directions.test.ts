import { globSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { expect, test } from 'vitest'

const source = join(import.meta.dirname, '../../src')
const domain = ['identity', 'resources', 'policy', 'access', 'sessions', 'recording', 'audit', 'evidence', 'config']
const inner = ['kernel', ...domain]
/** What each room of src/ may import besides itself. Files at the top are rooms of their own. */
const map: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  'system.ts': ['kernel'],
  ...Object.fromEntries(domain.map((room) => [room, inner])),
  ...Object.fromEntries(['protocols', 'notify', 'observability', 'geo'].map((room) => [room, inner])),
  // Their worker threads have clocks of their own.
  store: [...inner, 'system.ts'],
  web: inner,
  // The CLI speaks HTTP: of the web it knows the API's shapes, of the gateway how to start one.
  cli: [...inner, 'system.ts', 'gateway.ts', 'web/api-schema.ts'],
  'upkeep.ts': [...inner, 'store'],
  'reload.ts': [...inner, 'store'],
  'gateway.ts': [
    ...inner,
    'upkeep.ts',
    'reload.ts',
    'system.ts',
    'protocols',
    'store',
    'web',
    'notify',
    'observability',
    'geo',
  ],
  'main.ts': ['cli', 'config'],
}

const files = globSync('**/*.ts', { cwd: source })
const room = (file: string) => file.split('/', 1)[0]!

function importsOf(file: string): readonly string[] {
  const text = readFileSync(join(source, file), 'utf8')
  const found = text.matchAll(/(?:from|import|import\()\s*\(?'(\.[^']+)'|new URL\('(\.[^']+\.[tj]s)'/g)
  return [...found].map((match) => posix.join(dirname(file), match[1] ?? match[2]!))
}

test('no import leaves the map of src/', () => {
  const wrong = files.flatMap((file) =>
    importsOf(file)
      .filter((target) => room(target) !== room(file) && files.includes(target))
      .filter((target) => !map[room(file)]?.some((allowed) => allowed === room(target) || allowed === target))
      .map((target) => `${file} imports ${target}`),
  )
  expect(wrong).toEqual([])
})

test('the check sees imports', () => {
  expect(files.flatMap(importsOf).length).toBeGreaterThan(files.length)
  expect(Object.keys(map)).toEqual(expect.arrayContaining([...new Set(files.map(room))]))
})

/** Files in which the words stand although comments are left out. */
function using(
  words: RegExp,
  rooms: readonly string[],
  except: (file: string) => boolean = () => false,
): readonly string[] {
  return files
    .filter((file) => rooms.includes(room(file)) && !except(file))
    .filter((file) => words.test(readFileSync(join(source, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')))
}

test('domain rooms take time, timers and chance as arguments', () => {
  const inThread = (file: string) => /(thread|worker)\.ts$/.test(file)
  expect(using(/\bDate\.now\(|\bMath\.random\(|\bset(Timeout|Interval)\(/, inner, inThread)).toEqual([])
})

test('only config reads the environment', () => {
  expect(
    using(
      /process\.env\b/,
      [...new Set(files.map(room))].filter((one) => one !== 'config'),
    ),
  ).toEqual([])
})
