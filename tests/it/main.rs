//! The one integration binary: a real server, the real `git` and `age`, a fixed clock.

mod access;
mod account;
mod architecture;
mod attachment;
mod audit;
mod browser;
mod canary;
mod commands;
mod config;
mod crash;
mod credit;
mod demo;
mod desk;
mod disclosure;
mod forge;
mod limits;
mod lines;
mod mail;
mod operator;
mod push;
mod report;
mod states;
mod support;
mod team;
mod upstream;
mod workflow;
