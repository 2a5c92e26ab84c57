// Countdowns, copy buttons, local times, and pages that renew themselves. Every page also works without it.

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
]

/** As kernel/durations.ts writes it: the two largest units, rounded up, so that "0" never shows early. */
function formatLeft(leftMs) {
  const seconds = Math.max(0, Math.ceil(leftMs / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 600) return `${Math.floor(seconds / 60)} min${seconds % 60 === 0 ? '' : ` ${seconds % 60} s`}`
  let rest = Math.ceil(seconds / 60) * 60
  const parts = []
  for (const [name, size] of units) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0) parts.push(`${count} ${name}`)
  }
  return parts.slice(0, 2).join(' ')
}

function tick() {
  const now = Date.now()
  for (const element of document.querySelectorAll('[data-left-until]')) {
    const text = formatLeft(Number(element.dataset.leftUntil) - now)
    if (element.textContent !== text) element.textContent = text
  }
  for (const bar of document.querySelectorAll('[data-progress-until]')) {
    const leftS = Math.max(0, Math.round((Number(bar.dataset.progressUntil) - now) / 1000))
    bar.value = Math.min(bar.max, leftS)
    bar.classList.toggle('late', leftS < Math.min(300, bar.max / 4))
  }
  for (const element of document.querySelectorAll('time[data-ago]')) {
    const minutes = Math.floor((now - Date.parse(element.dateTime)) / 60_000)
    const text = minutes < 1 ? 'just now' : `${formatLeft(minutes * 60_000)} ago`
    if (element.textContent !== text) element.textContent = text
  }
}

const forms = {
  moment: { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' },
  second: { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' },
  clock: { hour: '2-digit', minute: '2-digit' },
  time: { hour: '2-digit', minute: '2-digit', second: '2-digit' },
}

function showLocalTimes() {
  const today = new Date().toDateString()
  for (const element of document.querySelectorAll('time[data-form]')) {
    const at = new Date(element.dateTime)
    const form = element.dataset.form === 'clock' && at.toDateString() !== today ? 'moment' : element.dataset.form
    const zone = form === 'time' ? {} : { timeZoneName: 'short' }
    element.textContent = at.toLocaleString('en-GB', { ...forms[form], ...zone })
    if (form === 'time') element.title = at.toLocaleString('en-GB', { ...forms.second, timeZoneName: 'short' })
  }
}

/** The next page comes in the right zone from the server. */
function leaveZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  if (/^[\w/+-]{1,64}$/.test(zone)) {
    document.cookie = `__Host-curfew-zone=${zone}; Path=/; Secure; SameSite=Lax; Max-Age=31536000`
  }
}

function showCopyButtons() {
  if (!navigator.clipboard) return
  for (const button of document.querySelectorAll('button[data-copy]')) button.hidden = false
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy)
    button.textContent = 'Copied'
  } catch {
    button.textContent = 'Select it' // the browser does not allow it here
  }
  // Its name for people who hear the page, which stands above its text.
  button.dataset.name ??= button.getAttribute('aria-label')
  button.setAttribute('aria-label', button.textContent)
  setTimeout(() => {
    button.textContent = 'Copy'
    button.setAttribute('aria-label', button.dataset.name)
  }, 2000)
}

document.addEventListener('click', (event) => {
  const button = event.target.closest?.('button[data-copy]')
  if (button) void copy(button)
})

// One decision, one tap: the server refuses a second one anyway.
document.addEventListener('submit', (event) => {
  const form = event.target
  if (form.dataset.sent) return event.preventDefault()
  form.dataset.sent = 'yes'
  setTimeout(() => delete form.dataset.sent, 3000)
})

/** Another one than the page came with. */
function isChosen({ options, selectedIndex }) {
  const given = [...options].findLastIndex((option) => option.defaultSelected)
  return selectedIndex !== Math.max(0, given)
}

/** Somebody types or has opened something: the page must not change under their hands. */
function inUse(main) {
  const typed = [...main.querySelectorAll('textarea, input:not([type=hidden])')].some((field) =>
    field.type === 'checkbox' ? field.checked !== field.defaultChecked : field.value !== field.defaultValue,
  )
  const chosen = [...main.querySelectorAll('select')].some(isChosen)
  return (
    typed ||
    chosen ||
    main.querySelector('details[open]') !== null ||
    main.contains(document.activeElement?.closest('input, textarea, select'))
  )
}

/** What a link, button or summary is for, wherever it stands. */
function purposeOf(control) {
  const place = control.getAttribute('href') ?? control.form?.getAttribute('action') ?? ''
  return `${control.tagName} ${place} ${control.getAttribute('aria-label') ?? control.textContent}`
}

/**
 * Focus goes back to the same control, so that nobody who uses the keyboard is thrown to the top; never to another one,
 * that would do something else.
 */
function replaceMain(main, next) {
  const controls = (root) => [...root.querySelectorAll('a, button, summary')]
  const focused = main.contains(document.activeElement) ? purposeOf(document.activeElement) : undefined
  replaceAround(main, next)
  main.className = next.className
  main.dataset.renew = next.dataset.renew ?? ''
  main.dataset.version = next.dataset.version ?? ''
  if (focused !== undefined) {
    controls(main)
      .find((control) => purposeOf(control) === focused)
      ?.focus()
  }
}

/** What tells where things stand stays in its place and gets other words: only so is it said to people who hear the page. */
function replaceAround(main, next) {
  const [said, news] = [main, next].map((root) => root.querySelector(':scope > [data-news]'))
  if (!said || !news) return main.replaceChildren(...next.childNodes)
  const nodes = [...next.childNodes]
  const at = nodes.indexOf(news)
  for (const node of [...main.childNodes]) if (node !== said) node.remove()
  said.before(...nodes.slice(0, at))
  said.after(...nodes.slice(at + 1))
  said.replaceChildren(...news.childNodes)
}

/** What somebody is writing stays; they are told that it may be in vain. */
function tellStale(main, next) {
  const note = main.querySelector('[data-stale]')
  if (note && main.dataset.version !== next.dataset.version) note.hidden = false
}

let isLooking = false
let isAsked = false

/** One at a time: of two answers the slower could be the older, and would stay. */
async function lookAgain() {
  isAsked = true
  if (isLooking) return
  isLooking = true
  try {
    while (isAsked) {
      isAsked = false
      await look()
    }
  } finally {
    isLooking = false
  }
}

/** Signed in in another tab, over whoever this page was made for. */
function isSomebodyElses(page) {
  const [seen, now] = [document, page].map((root) => root.querySelector('.who')?.textContent)
  return seen !== undefined && now !== undefined && seen !== now
}

async function look() {
  const main = document.getElementById('main')
  if (inUse(main) && !main.querySelector('[data-stale]')) return
  const answer = await fetch(location.href, {
    headers: { accept: 'text/html' },
    cache: 'no-store',
    signal: AbortSignal.timeout(20_000),
  })
  if (answer.status === 429) return // it is looked at more often than it may be: this one stays until the next time
  if (answer.redirected && new URL(answer.url).pathname !== location.pathname) return location.reload()
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
  const next = page.getElementById('main')
  if (!next) return
  if (inUse(main)) return tellStale(main, next)
  if (isSomebodyElses(page)) return location.reload()
  // It goes on to elsewhere: browsers heed that on a page that they load, not on one that was fetched.
  if (page.querySelector('head > meta[http-equiv=refresh]')) return location.reload()
  // Nothing that matters is new: a finger may be on a button.
  if (!main.dataset.version || main.dataset.version !== next.dataset.version) replaceMain(main, next)
  const nav = document.querySelector('nav')
  const nextNav = page.querySelector('nav')
  if (nav && nextNav && !nav.contains(document.activeElement)) nav.replaceChildren(...nextNav.childNodes)
  prepare()
}

const reopenMs = 30_000

/** Open only while the page is looked at: browsers keep few connections to one host. */
function follow(topic) {
  let source
  let again
  const open = () => {
    source = new EventSource(`/events?topic=${encodeURIComponent(topic)}`)
    source.addEventListener('changed', () => lookAgain().catch(() => {})) // the next change tries again
    // Connected, perhaps again: something may have changed since the page was made.
    source.addEventListener('hello', () => lookAgain().catch(() => {}))
    source.addEventListener('error', comeBack)
  }
  // A browser comes back by itself after a lost connection only, not after a refusal: somebody who is signed out reads
  // so, and what a gateway or a balancer refuses for a while is asked for again (HTML, "Server-sent events").
  const comeBack = () => {
    if (source.readyState !== EventSource.CLOSED) return
    lookAgain().catch(() => {}) // the next time tries again
    again = setTimeout(open, reopenMs)
  }
  document.addEventListener('visibilitychange', () => {
    clearTimeout(again)
    source?.close()
    if (!document.hidden) open()
  })
  if (!document.hidden) open()
}

/** What has no topic looks again by the clock: while it is looked at, and as long as the server says so. */
function renewBy(main) {
  const everyS = Number(main.dataset.renew)
  if (!(everyS > 0)) return
  setTimeout(async () => {
    if (!document.hidden) await lookAgain().catch(() => {}) // the next time tries again
    renewBy(main)
  }, everyS * 1000)
}

function prepare() {
  tick()
  showLocalTimes()
  showCopyButtons()
}

// Back from another page: the browser may show this one as it was, with what was typed.
addEventListener('pageshow', (event) => {
  if (event.persisted && !inUse(document.getElementById('main'))) location.reload()
})

prepare()
leaveZone()
setInterval(tick, 1000)
const topic = document.getElementById('main')?.dataset.topic
if (topic) follow(topic)
renewBy(document.getElementById('main'))
