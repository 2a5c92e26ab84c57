// Goal: browsers by the name that people know, other programs by their own.
// Method: what real ones send.
import { expect, test } from 'vitest'
import { browserName, programName } from '../../src/kernel/user-agent.ts'

const [chrome, safari] = ['AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0', 'Safari/537.36']

test.each([
  [`Mozilla/5.0 (X11; Linux x86_64) ${chrome} ${safari}`, 'Chrome on Linux'],
  [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome} ${safari} Edg/156.0.0.0`, 'Edge on Windows'],
  [`Mozilla/5.0 (Linux; Android 16) ${chrome} Mobile ${safari}`, 'Chrome on Android'],
  ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:150.0) Gecko/20100101 Firefox/150.0', 'Firefox on macOS'],
  [`Mozilla/5.0 (X11; Plan9) ${chrome} ${safari}`, 'Chrome'],
])('%s', (userAgent, name) => {
  expect(browserName(userAgent)).toBe(name)
  expect(programName(userAgent)).toBe(name)
})

test.each(['curl/8.14.1', 'Mozilla/5.0 (compatible; monitor/2)', 'tool/1 (like Chrome/1)', ''])('%s', (userAgent) => {
  expect(programName(userAgent)).toBe(userAgent)
  expect(browserName(userAgent)).toBe('A browser')
})

test('nothing that a terminal or a page would obey', () => {
  expect(programName('evil\u001b[2J\u202e/1\n')).toBe('evil[2J/1')
})
