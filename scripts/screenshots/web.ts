import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { signInAtProvider } from '../../test/clients/browser.ts'
import type { Terminal } from '../../test/clients/terminal.ts'
import type { Demo } from '../demo/start.ts'
import { approveOnPhone, checkout, openAs, openRecording, pageOf, phone, shoot, type Stage } from './stage.ts'

/** What alice looks at, all in one browser. */
export interface WebStory {
  readonly board: Page
  readonly echo: Page
}

export interface WebTerminals {
  /** Where the command line tool is logged in. */
  readonly login: Terminal
  readonly curl: Terminal
}

/** The command line tool, by the name that people type; the terminals find it in `folder`/bin. */
export async function placeTool(folder: string): Promise<void> {
  const file = join(folder, 'bin', 'curfew')
  await mkdir(join(folder, 'bin'))
  await writeFile(file, `#!/bin/sh\nexec '${process.execPath}' '${join(checkout, 'src', 'main.ts')}' "$@"\n`)
  await chmod(file, 0o755)
}

/** As far as a page with live updates and a WebSocket; a program asks for the same before and after the approval. */
export async function beginWeb(stage: Stage, terminals: WebTerminals): Promise<WebStory> {
  const board = await stage.browser.page({ viewport: { width: 1120, height: 460 } })
  await askForBoard(stage, board)
  await curlUntilApproved(stage, board, terminals)

  // Nobody touches the page: it goes on by itself, to what was asked for in the beginning.
  await board.waitForURL(new URL('/me', stage.demo.board.url).href)
  await board.getByRole('heading', { name: 'Alice Chen' }).waitFor()
  await shoot(board, 'web-identity')
  await board.getByRole('link', { name: 'Board' }).click()
  await board.getByRole('button', { name: 'I look after it' }).last().click()
  await board.getByText('Live.').waitFor()
  await shoot(board, 'web-board')
  return { board, echo: await talk(stage, board) }
}

async function askForBoard({ demo }: Stage, page: Page): Promise<void> {
  await page.goto(new URL('/me', demo.board.url).href)
  await signInAtProvider(page, demo.webUrl.origin, 'alice')
  await page.getByRole('link', { name: 'Ask board as operate' }).waitFor()
  await shoot(page, 'web-choose')
  await page.getByRole('link', { name: 'Ask board as operate' }).click()
  await page.locator('[name=reason]').fill('Mail is down; telling the others that I am at it')
  await page.getByRole('button', { name: 'Ask', exact: true }).click()
  await page.waitForURL(/\/requests\//)
}

/** Refused with a link; then it waits, and goes on once bob has approved; then it reads on and on. */
async function curlUntilApproved(stage: Stage, alice: Page, { login, curl }: WebTerminals): Promise<void> {
  const { demo } = stage
  await login.type(`curfew login --no-ssh --gateway ${demo.webUrl.origin} --ca ca.pem`)
  const page = await alice.context().newPage()
  await openAs(stage, page, await login.until(/(https:\S+\/s\/\S+)/), 'alice')
  await page.getByRole('button', { name: /let it in/i }).click()
  await login.until(/You are alice/)
  await page.close()

  await curl.type('export CURL_CA_BUNDLE=ca.pem')
  await curl.until(/ca\.pem\n\$$/)
  await curl.type('TOKEN=$(curfew token create --label board --for 1h)')
  await curl.until(/not shown again\.\n\$$/)
  await curl.type(`${services(demo, '-H "Curfew-Role: operate"')} | python3 -m json.tool`)
  await curl.until(/^}\n\$$/m)
  await curl.type(
    services(demo, '-H "Curfew-Role: operate" -H "Prefer: wait=600" -w "%{http_code}\\n" -o services.json'),
  )
  await approveOnPhone(stage, 'board', 'web-approve')
  await curl.until(/^200\n\$$/m)
  await curl.type(curlOf(demo, 'events', '-o events.txt'))
}

function services(demo: Demo, options: string): string {
  return curlOf(demo, 'services.json', options)
}

function curlOf({ board }: Demo, path: string, options: string): string {
  return `curl -sS -H "Authorization: Bearer $TOKEN" ${options} ${new URL(path, board.url).href}`
}

async function talk({ demo }: Stage, board: Page): Promise<Page> {
  const echo = await board.context().newPage()
  await echo.goto(new URL('/echo', demo.board.url).href)
  for (const line of ['Is anybody there?', 'It says what I say.']) {
    await echo.locator('button:enabled').waitFor()
    await echo.locator('#message').fill(line)
    await echo.keyboard.press('Enter')
    await echo.getByText(`« ${line}`).waitFor()
  }
  return echo
}

/** The cut, as whoever looks at the pages and whoever waits at the terminal see it. */
export async function endWeb({ demo }: Stage, { board, echo }: WebStory, curl: Terminal, msMax: number): Promise<void> {
  await echo.getByText('closed: 1008').waitFor({ timeout: msMax })
  await board.getByText('The live updates have ended.').waitFor()
  await board.reload()
  await shoot(board, 'web-ended')
  await curl.until(/curl: \(\d+\).*\n\$$/)
  await curl.type(`${services(demo, '-H "Curfew-Role: operate"')} | python3 -m json.tool`)
  await curl.until(/curl: \(\d+\)[^]*^}\n\$$/m)
}

/** The session as a reviewer sees it: all requests, one of them, on a telephone, and in a terminal. */
export async function reviewWeb(stage: Stage, terminal: Terminal): Promise<void> {
  const sam = await pageOf(stage, 'sam', '/recordings', 900)
  await openRecording(sam, 'board as operate')
  await shoot(sam, 'web-recording')
  const list = sam.url()
  await sam.getByRole('link', { name: 'GET /me' }).click()
  await shoot(sam, 'web-request')
  const small = await sam
    .context()
    .browser()!
    .newContext({ ...phone, storageState: await sam.context().storageState() })
  const page = await small.newPage()
  await page.goto(list)
  await shoot(page, 'web-recording-phone')
  const session = new URL(list).pathname.split('/').at(-1)!
  await terminal.type(`curfew replay gateway/recordings/*/*/*/${session}.curfew`)
  await terminal.until(/\n\$$/)
}
