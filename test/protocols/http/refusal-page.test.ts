// Goal: who is refused at an application reads why, and has one way on.
// Method: the page as it is made.
import { expect, test } from 'vitest'
import { Fault } from '../../../src/kernel/fault.ts'
import { refusalPage } from '../../../src/protocols/http/refusal-page.ts'

const hint = 'Ask again: https://gw.example.com/ask?resource=board&role=operate'
const fault = new Fault('GRANT_EXPIRED', 'Your access to <board> ended.', { hint })
const requestId = 'http-x-1'

test('beside a button that goes there, the address is not said', () => {
  const link = { url: new URL('https://gw.example.com/open?to=a&b=c'), text: 'Open again, or ask again' }
  const page = refusalPage({ fault, requestId, link })
  expect(page).toContain('<p class="lead">Ask again.</p>')
  expect(page).toContain('<a href="https://gw.example.com/open?to=a&amp;b=c">Open again, or ask again</a>')
  expect(page).toContain('<h1>Your access to &lt;board&gt; ended.</h1>')
})

test('without one it is', () => {
  const page = refusalPage({ fault, requestId })
  expect(page).toContain('Ask again: https://gw.example.com/ask?resource=board&amp;role=operate')
})
