/**
 * A real Chromium that trusts exactly the certificates it is told to. It comes without the window around the pages, which
 * nobody sees here and which takes as long as they do.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { chromium, devices, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'

export interface TestBrowser extends AsyncDisposable {
  readonly browser: Browser
  /** A page in a fresh context: no cookies, nothing remembered. */
  page(options?: BrowserContextOptions): Promise<Page>
  /** The same on a telephone: narrow, with touch. */
  phonePage(): Promise<Page>
}

const waitMsMax = 20_000

/**
 * @param certificates PEM, the servers' own (not the authority's): they are accepted, all others checked as ever.
 * @param domain its names, and those below it, lead to this machine.
 */
export async function openBrowser(certificates: readonly string[] = [], domain?: string): Promise<TestBrowser> {
  const pins = certificates.map(pinOf).join(',')
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium-headless-shell',
    args: [
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      ...(pins === '' ? [] : [`--ignore-certificate-errors-spki-list=${pins}`]),
      ...(domain === undefined ? [] : [`--host-resolver-rules=MAP ${domain} 127.0.0.1,MAP *.${domain} 127.0.0.1`]),
      '--disable-gpu',
      '--disable-quic',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  const page = async (options: BrowserContextOptions = {}) => {
    const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'UTC', ...options })
    context.setDefaultTimeout(waitMsMax)
    return context.newPage()
  }
  return {
    browser,
    page,
    phonePage: () => page(devices['iPhone 13 Mini'] ?? {}),
    [Symbol.asyncDispose]: () => browser.close(),
  }
}

/** Base64 of the SHA-256 of the certificate's public key, as Chromium wants it. */
function pinOf(certificate: string): string {
  const spki = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest('base64')
}

/** On the demo provider's sign-in page: says who we are. Resolves back at `origin`, where the sign-in began. */
export async function signInAtProvider(page: Page, origin: string, person: string, password = ''): Promise<void> {
  await page.locator('#login').fill(person)
  if (password !== '') await page.locator('#password').fill(password)
  await Promise.all([
    page.waitForURL((url) => url.origin === origin, { timeout: waitMsMax }),
    page.locator('#login').press('Enter'),
  ])
}
