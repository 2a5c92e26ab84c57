import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { shellWord } from '../../src/cli/shell-words.ts'
import { renewAt } from '../../src/cli/renew-at.ts'
import { readSshWords } from '../../src/cli/ssh/words.ts'

describe('what follows curfew ssh', () => {
  test.each([
    ['', { resource: undefined, role: undefined, options: [], command: [] }],
    ['web', { resource: 'web', role: undefined }],
    ['-v web shell -4', { resource: 'web', role: 'shell', options: ['-v', '-4'] }],
    ['web -L 80:x:80 -NvR 1:y:2', { role: undefined, options: ['-L', '80:x:80', '-NvR', '1:y:2'] }],
    ['web -L80:x:80 shell', { role: 'shell', options: ['-L80:x:80'] }],
    ['web -o User=x', { options: ['-o', 'User=x'] }],
    ['web -- ls -l', { role: undefined, command: ['ls', '-l'] }],
    ['web shell -D 1 -- -x --', { role: 'shell', options: ['-D', '1'], command: ['-x', '--'] }],
    ['web shell --print -v', { isPrinted: true, options: ['-v'] }],
    ['web shell -- --print', { isPrinted: false, command: ['--print'] }],
    ['web -e -', { options: ['-e', '-'] }],
  ])('%s', (line, expected) => {
    expect(readSshWords(line.split(' ').filter(Boolean))).toMatchObject(expected)
  })

  test.each(['web shell ls', '-l root', '-p 22', '--verbose', '-L', '-Z', '-vl root'])('not %s', (line) => {
    expect(() => readSshWords(line.split(' '))).toThrow(expect.objectContaining({ exitCode: 2 }))
  })

  test('a command reaches ssh as it was typed', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (command) => {
        expect(readSshWords(['-v', 'web', '--', ...command]).command).toEqual(command)
      }),
    )
  })
})

test('words for a shell are what it makes of them', () => {
  const words = ['', 'a b', "it's", '$(x)', 'a"b\\', '~', '*', 'shell@web-1@gw', '-o', 'ü\n', '#x', '!!']
  const { stdout } = spawnSync('sh', ['-c', `printf '%s\\0' ${words.map(shellWord).join(' ')}`], { encoding: 'utf8' })
  expect(stdout.split('\0').slice(0, -1)).toEqual(words)
})

test('a certificate is renewed before its end, but not when only a sign-in could make it longer', () => {
  const session = { expiresAt: new Date(100 * 3_600_000).toISOString() }
  const hours = (count: number) => count * 3_600_000
  expect(renewAt({ validAfterMs: 0, endsAtMs: hours(12) }, session)).toBe(hours(12) - 600_000)
  expect(renewAt({ validAfterMs: 0, endsAtMs: 60_000 }, session)).toBe(45_000)
  expect(renewAt({ validAfterMs: 0, endsAtMs: hours(100) }, session)).toBe(hours(100))
})
