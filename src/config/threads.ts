/** A disk for recordings that hangs takes six of them: src/recording/disk-turns.ts. */
const threadsMin = 8

/** Makes so many threads for what waits for disks, names and keys. To be called before the first of them is needed. */
export function makeThreads(): void {
  const wished = Number(process.env['UV_THREADPOOL_SIZE'] ?? 0)
  if (!(wished >= threadsMin)) process.env['UV_THREADPOOL_SIZE'] = String(threadsMin)
}
