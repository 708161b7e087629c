
mod stories;
