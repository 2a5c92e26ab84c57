import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writePrivateFile } from '../../src/cli/private-file.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'curfew-private-'))
})
afterEach(() => rm(folder, { recursive: true }))

// `curfew connect` renews its certificate for whoever connects, and a pool connects ten times at once.
test('the same file may be written by several at once; it is one of theirs, and its owner’s alone', async () => {
  const file = join(folder, 'curfew/client.crt')
  const texts = Array.from({ length: 10 }, (_, at) => `certificate ${at}`)
  await Promise.all(texts.map((text) => writePrivateFile(file, text)))
  expect(texts).toContain(await readFile(file, 'utf8'))
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await readdir(join(folder, 'curfew'))).toEqual(['client.crt'])
})

test('a file that cannot be put in place leaves nothing behind', async () => {
  await mkdir(join(folder, 'client.crt/full'), { recursive: true })
  await expect(writePrivateFile(join(folder, 'client.crt'), 'x')).rejects.toThrow()
  expect(await readdir(folder)).toEqual(['client.crt'])
})
