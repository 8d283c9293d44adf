/** Runs the engine beside the page, so that long work never holds it up. */
import "ovl/worker";
