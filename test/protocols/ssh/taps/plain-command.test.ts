import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isScpCommand, isSftpServerCommand, readScpCommand } from '../../../../src/protocols/ssh/taps/plain-command.ts'

test.each([
  ['scp -t /tmp/x', 'up', ['/tmp/x'], false],
  ['scp -r -p -d -t "/tmp/my files"', 'up', ['/tmp/my files'], true],
  ["scp -v -t -- '-odd name'", 'up', ['-odd name'], false],
  ['scp -pt a\\ b', 'up', ['a b'], false],
  ['/usr/bin/scp -f ~/log/*.gz other', 'down', ['~/log/*.gz', 'other'], false],
  ['scp -r -f a=b%20c', 'down', ['a=b%20c'], false],
  ['scp -f \'semi;colon\' "pi|pe"', 'down', ['semi;colon', 'pi|pe'], false],
  ['scp -t .', 'up', ['.'], false],
] as const)('%s is scp', (command, direction, paths, intoFolder) => {
  expect(readScpCommand(command)).toEqual({ direction, paths, intoFolder })
})

test.each([
  'scp',
  'scp -t',
  'scp /tmp/x',
  'scp a host:b',
  'scp -t -f x',
  'scp -t a b',
  'scp -t x; id',
  'scp -t x && id',
  'scp -t x | sh',
  'scp -t x > /etc/passwd',
  'scp -t $(id)',
  'scp -t `id`',
  'scp -t "$(id)"',
  'scp -t "`id`"',
  'scp -t $HOME',
  'scp -t x\nid',
  'scp -t "x\nid"',
  'scp -t x\\\nid',
  'scp -t x &',
  'scp -t x # y',
  'scp -t {a,b}',
  'scp -S /tmp/evil -t x',
  'scp -t x -S evil',
  'scp -oProxyCommand=id -t x',
  'PATH=. scp -t x',
  './scp -t x',
  '/tmp/scp -t x',
  '~/bin/scp -t x',
  '/usr/bin/../../tmp/scp -t x',
  'sudo scp -t x',
  'sh -c "scp -t x"',
  "scp -t 'open",
  'scp -t "open',
  'scp -t x\\',
  'scpx -t x',
  `scp -t ${'x'.repeat(9000)}`,
  '',
])('%j is not scp', (command) => {
  expect(isScpCommand(command)).toBe(false)
})

// Goal: what is taken for one call of scp is just that, with just these words, to real shells.
// Method: they get a function of that name, which says what it was called with.
test.each(['sh', 'bash'])('whatever is scp is nothing else to %s', (shell) => {
  const part = fc.constantFrom('-r', '--', ' ', 'x', 'y', "'", '"', '\\', ';', '$', '`', '|', '&', '(', '#', '~', '!')
  const argument = fc.array(part, { minLength: 1, maxLength: 9 }).map((parts) => parts.join(''))
  const commands = fc.sample(argument, 40_000).map((words) => `scp -f ${words}`)
  const plain = [...new Set(commands)].filter(isScpCommand).slice(0, 2000)
  expect(plain.length).toBeGreaterThan(300)
  const says = 'set -f\nHOME=\'~\'\nscp() { printf "<"; printf "%s|" "$@"; printf ">\\n"; }\n'
  const { stdout } = spawnSync(shell, { input: `${says}${plain.join('\n')}\n`, cwd: tmpdir(), encoding: 'utf8' })
  const read = plain.map((command) => {
    const { paths } = readScpCommand(command)!
    return paths.map((path) => `${path}|`).join('')
  })
  // Options come first, and they are not among the paths.
  expect(stdout.split('\n').map((line) => line.replace(/^<(?:-[rf]+\|)*(?:--\|)?|>$/g, ''))).toEqual([...read, ''])
})

test.each([
  ['/usr/lib/openssh/sftp-server', true],
  ['/usr/libexec/sftp-server -e -l INFO', true],
  ['/usr/lib/ssh/sftp-server', true],
  ['sftp-server', false],
  ['/tmp/sftp-server', false],
  ['/usr/lib/openssh/../../../tmp/sftp-server', false],
  ['/usr/lib/openssh/sftp-server; id', false],
  ['/usr/lib/openssh/sftp-server-x', false],
])('%s as an SFTP server: %s', (command, is) => {
  expect(isSftpServerCommand(command)).toBe(is)
})
