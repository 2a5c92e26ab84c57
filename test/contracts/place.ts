import type { State } from '../../src/store/state.ts'
import type { HandClock } from '../clock.ts'

/** Somewhere that a state lies. Contract suites take a way to make one, so that they run on every kind of store. */
export interface Place extends AsyncDisposable {
  readonly clock: HandClock
  /** Opens it; again, and at the same time, as often as asked. Disposing the place closes what is still open. */
  open(): Promise<State>
}
export type MakePlace = () => Promise<Place>
