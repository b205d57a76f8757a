/** How far what is on record may lie behind a run that goes on: the worker writes it with each bound, at least every 8 s. */
const LAG_SECONDS = 12;

/**
 * The elapsed seconds to show when the page, which ticks by itself, shows `shown` and the server has `recorded`. A little ahead
 * is better than going back; far ahead means that no work was done meanwhile, because a server or a worker was away.
 */
export function corrected(shown: number, recorded: number): number {
  return shown - recorded > LAG_SECONDS ? recorded : Math.max(shown, recorded);
}
