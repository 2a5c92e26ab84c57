/** What the suite needs of this machine: PostgreSQL's source of the server's version, Debian's runner, a C compiler. */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findDebianBinaries } from '../demo/postgres-binaries.ts'

export interface Tools {
  /** Such as `15.18`. */
  readonly version: string
  /** The root of PostgreSQL's source. */
  readonly source: string
  readonly regress: string
  readonly isolation: string
  /** PostgreSQL's own test of libpq's pipelines. */
  readonly pipeline: string
  /** A folder with `regress.so` and what else the suite loads into the server. */
  readonly libraries: string
}

export interface Places {
  readonly source: string
  /** Where the files of postgresql-server-dev lie; `/` when it is installed. */
  readonly development: string
  /** Gets what is compiled; a folder that the server may enter. */
  readonly built: string
}

/** Its message says what is missing and how to get it. */
export class MissingTool extends Error {}

/** Compiles what the suite loads. @throws MissingTool */
export async function prepareTools(places: Places): Promise<Tools> {
  const { version: major, postgres } = await findDebianBinaries()
  const version = /\) (\S+)/.exec(run(postgres, ['--version']))?.[1] ?? major
  const found = versionOf(places.source)
  if (found !== version) throw missing(`the source of PostgreSQL ${version} in ${places.source}`, version)
  const base = join('/usr/lib/postgresql', major)
  const runners = join(base, 'lib/pgxs/src/test')
  const tools = {
    version,
    source: places.source,
    regress: join(runners, 'regress/pg_regress'),
    isolation: join(runners, 'isolation/pg_isolation_regress'),
    pipeline: join(places.built, 'libpq_pipeline'),
    libraries: join(places.built, 'libraries'),
  }
  const headers = join(places.development, '/usr/include/postgresql', major, 'server')
  const archives = join(places.development, base, 'lib')
  const needed = [tools.regress, tools.isolation, join(headers, 'fmgr.h'), '/usr/include/postgresql/libpq-fe.h']
  const gone = needed.find((file) => !existsSync(file))
  if (gone !== undefined) throw missing(gone, version)
  compileLibraries(tools, headers, join(base, 'lib'))
  compilePipeline(tools, headers, archives)
  return tools
}

function versionOf(source: string): string | undefined {
  const file = join(source, 'configure')
  return existsSync(file) ? /^PACKAGE_VERSION='([\d.]+)'/m.exec(readFileSync(file, 'utf8'))?.[1] : undefined
}

function compileLibraries({ source, libraries }: Tools, headers: string, modules: string): void {
  mkdirSync(libraries, { recursive: true })
  const words = ['-shared', '-fPIC', '-O1', '-w', `-I${headers}`, '-o', join(libraries, 'regress.so')]
  run('cc', [...words, join(source, 'src/test/regress/regress.c')])
  for (const name of ['refint.so', 'autoinc.so']) cpSync(join(modules, name), join(libraries, name))
}

function compilePipeline({ source, pipeline }: Tools, headers: string, archives: string): void {
  const file = join(source, 'src/test/modules/libpq_pipeline/libpq_pipeline.c')
  const words = ['-O1', '-w', `-I${headers}`, '-I/usr/include/postgresql', '-o', pipeline, file]
  run('cc', [...words, `-L${archives}`, '-lpq', '-lpgcommon', '-lpgport', '-lm'])
}

function run(program: string, args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

function missing(what: string, version: string): MissingTool {
  const major = version.split('.')[0]
  return new MissingTool(`${what} is missing. The suite needs Debian's server and its runner, a C compiler, and the source and
headers of the same version:
  apt-get install postgresql postgresql-client libpq-dev gcc postgresql-server-dev-${major}
  apt-get source postgresql-${major}        (wants deb-src in the list of sources)
  npm run test:suite -- --source FOLDER`)
}
