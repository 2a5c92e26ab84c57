import type { BrowserContextOptions, Page } from 'playwright-core'
import type { TestBrowser } from '../clients/browser.ts'
import type { Pages, SignedIn } from './harness.ts'

export interface Watched {
  readonly page: Page
  /** What the browser complained about or was made to do: scripts, policies, addresses that failed, dialogs, requests elsewhere. */
  readonly problems: string[]
}

/** Opens a page as somebody who is signed in, and keeps everything that should not happen there. */
export async function watchPage(
  { chromium, pages, who }: { readonly chromium: TestBrowser; readonly pages: Pages; readonly who: SignedIn },
  path: string,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const page = await chromium.page(options)
  const value = /__Host-curfew=([^;]+)/.exec(who.cookie)![1]!
  await page.context().addCookies([{ name: '__Host-curfew', value, url: pages.url.origin, secure: true }])
  const problems: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text())
  })
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('dialog', (dialog) => {
    problems.push(`a dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== pages.url.origin) problems.push(`a request to ${request.url()}`)
  })
  await page.goto(`${pages.url.origin}${path}`)
  return { page, problems }
}
