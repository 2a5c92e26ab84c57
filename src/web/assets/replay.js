// Plays terminals with asciinema-player. The server cuts a recording into parts and, if wished, shortens its pauses;
// here is what the player itself has not: speed while it plays, pauses, the time of day, jumps from lists and search.

const stage = document.querySelector('[data-replay]')
const tools = document.querySelector('[data-replay-tools]')
const clock = document.querySelector('[data-replay-clock]')

let index
let player
let playing = false
/** Where the player was opened, until it is there: before, its own time is that of its poster, or none. */
let openedAt = null

/** Seconds since the start of the recording, as seconds in the player: pauses that are skipped take less there. */
function toPlayed(recorded) {
  const { startsAt, pauses, pauseSeconds, duration } = index
  let cut = 0
  for (const [from, to] of pauses) {
    if (recorded <= from) break
    cut += Math.max(0, Math.min(recorded, to) - from - pauseSeconds)
  }
  return Math.min(duration, Math.max(0, recorded - startsAt - cut))
}

/** The other way round. */
function toRecorded(played) {
  let recorded = index.startsAt + played
  for (const [from, to] of index.pauses) {
    if (recorded <= from + index.pauseSeconds) break
    recorded += to - from - index.pauseSeconds
  }
  return recorded
}

const timeOfDay = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })

function showClock() {
  if (!player) return
  const recorded = toRecorded(player.getCurrentTime())
  const text = timeOfDay.format(Number(stage.dataset.startedAt) + recorded * 1000)
  if (clock.textContent !== text) clock.textContent = text
}

/** In the player's seconds. */
const position = () => openedAt ?? player.getCurrentTime()
const speed = () => Number(tools.elements.speed.value)
const skips = () => tools.elements.skip.checked

function sayProblem(error) {
  stage.textContent = `The player does not run: ${error.message}. The download has everything.`
}

async function fetchIndex() {
  const href = `${stage.dataset.replay}${skips() ? '?skip=yes' : ''}`
  const answer = await fetch(href, { headers: { accept: 'application/json' } })
  if (!answer.ok) throw new Error(`the gateway answered ${answer.status}`)
  return await answer.json()
}

/** @param recorded where to stand, in seconds of the recording. */
async function load(recorded) {
  stage.ariaBusy = 'true'
  index = await fetchIndex()
  stage.classList.toggle('broad', index.term.cols > 100)
  document.querySelector('[data-replay-long]').hidden = index.segments.length === 1
  open(toPlayed(recorded))
  stage.ariaBusy = 'false'
}

/** At the end of a session that is still open: goes on when there is more. */
async function follow() {
  const seen = index
  const next = document.hidden ? seen : await fetchIndex()
  if (index !== seen || playing || player.getCurrentTime() < seen.duration) return // somebody went elsewhere meanwhile
  if (next.duration > seen.duration) {
    index = next
    playing = true
    open(seen.duration)
  } else if (next.isLive) followSoon()
}

function followSoon() {
  setTimeout(() => follow().catch(followSoon), followEveryMs * index.segments.length)
}

const followEveryMs = 2000
/** The very first moments show nothing yet: until it plays, the screen stands a little later. */
const posterSeconds = 3
const momentSeconds = 0.0005

/** Made anew for each change: the player takes its speed only when it is made. */
function open(played) {
  stage.style.minHeight = `${stage.offsetHeight}px` // the page must not jump meanwhile
  player?.dispose()
  const source = { driver: 'recording', format: 'segmented', url: index.url }
  openedAt = played
  // A poster is wiped away when it plays: what stood on the screen in the middle would be gone. So the player goes there instead.
  const poster = played === 0 && { poster: `npt:${Math.min(index.duration, posterSeconds) + momentSeconds}` }
  player = AsciinemaPlayer.create(source, stage, {
    controls: true,
    fit: 'width',
    speed: speed(),
    autoPlay: playing,
    terminalFontFamily: getComputedStyle(stage).fontFamily,
    ...(playing && { startAt: played }),
    ...poster,
  })
  player.addEventListener('playing', () => {
    playing = true
    openedAt = null
  })
  player.addEventListener('seeked', () => (openedAt = null))
  player.addEventListener('pause', () => (playing = false))
  player.addEventListener('ended', () => {
    playing = false
    if (index.isLive) followSoon()
  })
  if (played > 0 && !playing) goTo(played).catch(() => {}) // the player itself says what is wrong
}

/** The player shows what came up to its time, and a difference of fractions may fall just short of it. */
const goTo = (played) => player.seek(played + momentSeconds)

async function jump(recorded) {
  await goTo(toPlayed(recorded))
  stage.scrollIntoView({ block: 'nearest' })
  showClock()
}

/** The list of places is made by the server; only it changes, so that the player stays where it is. */
async function find(form) {
  const href = `${location.pathname}?${new URLSearchParams(new FormData(form))}`
  const answer = await fetch(href, { headers: { accept: 'text/html' } })
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
  const found = page.getElementById('places')
  if (!found) return location.assign(href) // signed out meanwhile, or told to wait: that page says so
  document.getElementById('places').replaceChildren(...found.childNodes)
  history.replaceState(null, '', href)
}

function listen() {
  tools.addEventListener('submit', (event) => event.preventDefault())
  tools.elements.speed.addEventListener('change', () => open(position()))
  tools.elements.skip.addEventListener('change', () => load(toRecorded(position())).catch(sayProblem))
  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[data-seek]')
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return
    event.preventDefault()
    jump(Number(link.dataset.seek)).catch(() => {}) // the player itself says what is wrong
  })
  document.querySelector('[data-replay-find]')?.addEventListener('submit', (event) => {
    event.preventDefault()
    find(event.target).catch(() => event.target.submit())
  })
  setInterval(showClock, 250)
}

if (stage) {
  tools.hidden = false
  load(Number(stage.dataset.at)).then(listen).catch(sayProblem)
}
