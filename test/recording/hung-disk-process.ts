// Writes to a disk that hangs from the first line of input on, reads what never answers, and looks up a name meanwhile.
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import path from 'node:path'
import { DiskFiles } from '../../src/recording/files.ts'
import { openFile } from '../../src/recording/source.ts'

const [disk, pipes] = process.argv.slice(2) as [string, string]
const names = Array.from({ length: 12 }, (_, index) => `file-${index}`)
const files = new DiskFiles(disk)
await files.create('first', Buffer.from('header'))
process.stdout.write('written\n')
await once(process.stdin, 'data')
const writes = [
  ...names.map((name) => files.create(name, Buffer.from(name))),
  files.append('first', [Buffer.from('x')], 6),
]
for (const name of names) void openFile(path.join(pipes, name))
await lookup('localhost')
process.stdout.write('looked up\n')
await once(process.stdin, 'data')
await Promise.all(writes)
process.stdout.write('all written\n')
