import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exportStream } from '../../src/web/recording-export.ts'
import { startRecordings, temporaryFolder } from '../recording/support.ts'

/** A sealed recording of these statements, each answered; those with an odd number of quotes with an error, COPY with data. */
async function recordingOf(...statements: string[]) {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder())
  await using room = await startRecordings(folder.path)
  const { recorder, path } = await room.recordings.start({ session: 'session-one' }, 'strict', () => {})
  for (const [index, sql] of statements.entries()) {
    recorder.event('q', { n: index + 1, sql })
    if (sql.startsWith('copy')) recorder.event('cp', { direction: 'in', bytes: 100 })
    const error = { severity: 'ERROR', sqlstate: '42601', message: 'unterminated quoted string', rows: 0 }
    if (sql.split("'").length % 2 === 0) recorder.event('e', { n: index + 1, ms: 1, ...error })
    else recorder.event('c', { n: index + 1, ms: 1, tag: 'SELECT 1', rows: 1 })
  }
  await recorder.seal({ by: 'client' })
  const all = stack.move()
  return { file: room.fileOf(path), [Symbol.asyncDispose]: () => all.disposeAsync() }
}

async function isOpen(file: string): Promise<boolean> {
  const handles = await readdir('/proc/self/fd')
  const targets = await Promise.all(handles.map((handle) => readlink(join('/proc/self/fd', handle)).catch(() => '')))
  return targets.includes(file)
}

// A file that is left open ends the process when it is collected as garbage.
test.skipIf(process.platform !== 'linux').for(['before it is read', 'while it is read'])(
  'a download that is called off %s leaves no file open (open files are listed by Linux only)',
  async (when) => {
    await using recording = await recordingOf(...Array.from({ length: 1000 }, (_, index) => `select ${index}`))
    const reader = exportStream({ format: 'jsonl' }, recording.file).getReader()
    if (when === 'while it is read') await reader.read()
    await reader.cancel()
    expect(await isOpen(recording.file)).toBe(false)
  },
)

test('what psql would take for its own commands is exported as a comment', async () => {
  await using recording = await recordingOf('select 1', "select '", "select '\n\\! touch /tmp/owned\n'", 'select 2')
  const text = await new Response(exportStream({ format: 'sql' }, recording.file)).text()
  const live = text.split('\n').filter((line) => line !== '' && !line.startsWith('-- '))
  expect(live).toEqual(['select 1;', 'select 2;'])
  expect(text).toContain('-- \\! touch /tmp/owned\n')
})

// Goal: what is run again is each statement by itself, not one that swallows those behind it.
test('a statement takes nothing of the next one with it', async () => {
  await using recording = await recordingOf('select 1 -- one;', 'copy t from stdin', "select '--'", 'select 2')
  const text = await new Response(exportStream({ format: 'sql' }, recording.file)).text()
  const live = text.split('\n').filter((line) => line !== '' && !line.startsWith('-- '))
  expect(live).toEqual(['select 1 -- one', ';', "select '--'", ';', 'select 2;'])
  expect(text).toContain('-- copy t from stdin\n')
})
