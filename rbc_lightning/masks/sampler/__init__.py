"""New label maps: where cells lie, and their drawing."""
