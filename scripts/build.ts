// Compiles src/ to dist/ and puts the files beside it that are not TypeScript (pages' styles and scripts, migrations).
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

rmSync(dist, { recursive: true, force: true })
const result = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { cwd: root, stdio: ['ignore', 2, 2] })
if (result.status !== 0) process.exit(1)
cpSync(join(root, 'src'), dist, {
  recursive: true,
  filter: (source) => statSync(source).isDirectory() || !source.endsWith('.ts'),
})
chmodSync(join(dist, 'main.js'), 0o755)
