/** The drivers, what they need, and the cases that each of them has to report. */
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const sources = join(root, 'test/drivers')
/** What is installed and compiled for them; nothing of it is kept in the repository. */
export const built = join(root, 'node_modules/.cache/curfew-drivers')

export interface Language {
  readonly name: 'python' | 'go' | 'java'
  /** Programs that the machine must have. */
  readonly programs: readonly string[]
  /** There when it has been prepared. */
  readonly ready: string
  /** Fetches exactly what the lock file names, by hash, and compiles it. */
  readonly prepare: readonly (readonly string[])[]
}

export interface Driver {
  readonly name: string
  readonly language: Language
  readonly command: readonly string[]
  readonly cases: readonly string[]
  /** How many of its connections read why they were ended. */
  readonly farewells: number
}

const python: Language = {
  name: 'python',
  programs: ['python3'],
  ready: join(built, 'python/ready'),
  prepare: [
    ['python3', '-m', 'venv', join(built, 'python')],
    [
      join(built, 'python/bin/pip'),
      ...['install', '--quiet', '--disable-pip-version-check', '--require-hashes', '--only-binary', ':all:'],
      ...['-r', join(sources, 'python/requirements.txt')],
    ],
    ['touch', join(built, 'python/ready')],
  ],
}

const go: Language = {
  name: 'go',
  programs: ['go'],
  ready: join(built, 'go/drivers'),
  prepare: [['go', 'build', '-C', join(sources, 'go'), '-mod=readonly', '-o', join(built, 'go/drivers'), '.']],
}

const java: Language = {
  name: 'java',
  programs: ['java', 'javac', 'mvn'],
  ready: join(built, 'java/Pgjdbc.class'),
  prepare: [
    [
      ...['mvn', '--batch-mode', '--quiet', '--file', join(sources, 'java/pom.xml'), 'dependency:copy-dependencies'],
      `-DoutputDirectory=${join(built, 'java')}`,
    ],
    ['sh', '-c', `cd ${join(built, 'java')} && sha256sum --quiet --check ${join(sources, 'java/postgresql.sha256')}`],
    ['javac', '-d', join(built, 'java'), '-cp', join(built, 'java/*'), join(sources, 'java/Pgjdbc.java')],
  ],
}

export const languages: readonly Language[] = [python, go, java]

/** What every driver here does. */
const everyOne = ['batch', 'cursors', 'errors and savepoints', 'pool', 'the end']
const direct = [
  'verified TLS',
  'another authority',
  'COPY',
  'COPY with an error',
  'notices',
  'notifications',
  'cancel',
  'large values',
]
const pipelines = ['pipeline', 'pipeline with an error']

export const drivers: readonly Driver[] = [
  {
    name: 'psycopg 3',
    language: python,
    command: script('psycopg3.py'),
    cases: [
      ...everyOne,
      ...direct,
      ...pipelines,
      'protocol 3.2',
      'values as text',
      'values in binary',
      'prepared statements',
    ],
    farewells: 2,
  },
  {
    name: 'psycopg2',
    language: python,
    command: script('psycopg2_driver.py'),
    cases: [...everyOne, ...direct, 'values as text', 'large objects'],
    farewells: 0,
  },
  {
    name: 'asyncpg',
    language: python,
    command: script('asyncpg_driver.py'),
    cases: [...everyOne, ...direct, 'values in binary', 'prepared statements'],
    farewells: 1,
  },
  {
    name: 'SQLAlchemy',
    language: python,
    command: script('sqlalchemy_driver.py'),
    cases: [...everyOne, 'making tables', 'reflection', 'dropping tables'],
    farewells: 1,
  },
  {
    name: 'pgx',
    language: go,
    command: [go.ready],
    cases: [
      ...[...everyOne, ...direct, ...pipelines],
      ...['values as text', 'values in binary', 'prepared statements', 'large objects', 'database/sql'],
    ],
    farewells: 2,
  },
  {
    name: 'pgjdbc',
    language: java,
    command: ['java', '-cp', `${join(built, 'java')}:${join(built, 'java/*')}`, 'Pgjdbc'],
    cases: [
      ...[...everyOne, ...direct, 'values as text', 'values in binary', 'every mode of queries'],
      ...['prepared statements', 'large objects', 'what tools ask about tables'],
    ],
    farewells: 2,
  },
]

function script(name: string): readonly string[] {
  return [join(built, 'python/bin/python'), '-B', join(sources, 'python', name)]
}
