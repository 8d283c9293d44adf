import "ovl/worker";
